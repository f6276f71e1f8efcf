"""Small evaluation logs, written key by key as the projects named in each function write them; and token files of two models."""

import hashlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

DATE = "2026-08-21T10-56-54.123456"

QUESTIONS = ("2 + 2?", "3 + 4?", "5 + 5?", "6 + 7?")

TARGETS = ("4", "7", "10", "13")


def answers(wrong=()):
    """The model's answers; those to the questions in ``wrong`` are 0."""
    return ["0" if i in wrong else target for i, target in enumerate(TARGETS)]


def _hash(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def jsonl(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def lm_eval(folder, task="gsm8k", *, wrong=(), filters=("strict-match", "flexible-extract"), shots="", version=3, model="m"):
    """lm-evaluation-harness 0.4.13, ``--log_samples`` of a generating task: evaluator.py and loggers/evaluation_tracker.py."""
    samples = []
    for name in filters:
        for i, given in enumerate(answers(wrong if name == filters[0] else ())):
            prompt = f"{shots}Question: {QUESTIONS[i]}\nAnswer:"
            doc = {"question": QUESTIONS[i], "answer": f"#### {TARGETS[i]}"}
            right = given == TARGETS[i]
            samples.append(
                {
                    "doc_id": i,
                    "doc": doc,
                    "target": TARGETS[i],
                    "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": ["Question:"], "do_sample": False}}},
                    "resps": [[f"It is {given}."]],
                    "filtered_resps": [given],
                    "filter": name,
                    "metrics": ["exact_match"],
                    "doc_hash": _hash(doc),
                    "prompt_hash": _hash(prompt),
                    "target_hash": _hash(TARGETS[i]),
                    "exact_match": float(right),
                }
            )
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"results_{DATE}.json"
    before = json.loads(results.read_text()) if results.exists() else {"versions": {}}
    results.write_text(json.dumps({"results": {}, "versions": before["versions"] | {task: version}, "model_name": model}))
    return jsonl(folder / f"samples_{task}_{DATE}.jsonl", samples)


def lm_eval_choices(folder, task="arc_easy", *, wrong=()):
    """The same of a task of choices by log likelihood: values are texts after ``sanitize_list``; two metrics."""
    samples = []
    for i, question in enumerate(QUESTIONS):
        best = 1 if i in wrong else 0
        likelihoods = [[str(-1.5 if c == best else -4.0 - c), str(c == best)] for c in range(3)]
        samples.append(
            {
                "doc_id": i,
                "doc": {"question": question},
                "target": "0",
                "arguments": {f"gen_args_{c}": {"arg_0": question, "arg_1": f" choice {c}"} for c in range(3)},
                "resps": [[one] for one in likelihoods],
                "filtered_resps": likelihoods,
                "filter": "none",
                "metrics": ["acc", "acc_norm"],
                "doc_hash": _hash(question),
                "prompt_hash": _hash(question),
                "target_hash": _hash("0"),
                "acc": float(best == 0),
                "acc_norm": 1.0,
            }
        )
    return jsonl(folder / f"samples_{task}_{DATE}.jsonl", samples)


def inspect_log(*, wrong=(), epochs=1, scorers=("match",), version=0, status="success", task="arithmetic", extra=None):
    """inspect_ai 0.3.260, log schema 2 (log/_log.py): header and samples."""
    header = {
        "version": 2,
        "status": status,
        "eval": {
            "run_id": "r",
            "created": "2026-08-21T10:00:00+00:00",
            "task": task,
            "task_version": version,
            "model": "openai/m",
        },
        "plan": {"name": "plan", "steps": []},
        "stats": {},
    }
    samples = []
    for epoch in range(1, epochs + 1):
        for i, given in enumerate(answers(wrong if epoch == 1 else ())):
            value = "C" if given == TARGETS[i] else "I"
            samples.append(
                {
                    "id": f"sum/{i + 1}",
                    "epoch": epoch,
                    "input": [{"id": f"x{epoch}{i}", "role": "user", "content": QUESTIONS[i]}],
                    "target": TARGETS[i],
                    "messages": [],
                    "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": f"It is {given}."}}]},
                    "scores": {name: {"value": value, "answer": given, "history": []} for name in scorers} | (extra or {}),
                    "metadata": {},
                    "store": {},
                    "events": [],
                    "attachments": {},
                }
            )
    return header, samples


def eval_file(path, log, *, compression=zipfile.ZIP_DEFLATED, finished=True):
    """inspect_ai's ``.eval``: _journal/start.json, samples/ID_epoch_N.json, header.json (log/_recorders/eval.py)."""
    header, samples = log
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("_journal/start.json", json.dumps({key: header[key] for key in ("version", "eval", "plan")}))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample, indent=1))
        if finished:
            archive.writestr("header.json", json.dumps(header))
    return path


def with_zstandard(path, log):
    """The same compressed with Zstandard (zip method 93), as inspect_ai does by default; made by hand for Python before 3.14."""
    import pyarrow

    header, samples = log
    files = {"header.json": header} | {f"samples/{s['id']}_epoch_{s['epoch']}.json": s for s in samples}
    body, directory = b"", b""
    for name, value in files.items():
        content = json.dumps(value, indent=1, ensure_ascii=False).encode()
        packed = pyarrow.compress(content, codec="zstd", asbytes=True)
        fields = (63, 0, 93, 0, 33, zipfile.crc32(content), len(packed), len(content), len(name))  # type: ignore[attr-defined]
        directory += struct.pack("<IH5H3IH4H2I", 0x02014B50, 63, *fields, 0, 0, 0, 0, 0, len(body)) + name.encode()
        body += struct.pack("<I5H3I2H", 0x04034B50, *fields, 0) + name.encode() + packed
    end = struct.pack("<I4H2IH", 0x06054B50, 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def openai_evals(path, *, wrong=(), finished=True, metrics=False):
    """OpenAI evals 3.0.1 (record.py): spec, events sampling and match (or metrics), final report."""
    records = [
        {"spec": {"completion_fns": ["gpt-x"], "eval_name": "sums.dev.v0", "base_eval": "sums", "split": "dev", "run_id": "r"}}
    ]
    for i, given in enumerate(answers(wrong)):
        common = {"run_id": "r", "sample_id": f"sums.dev.{i}", "created_by": "", "created_at": "2026-08-21 10:00:00+00:00"}
        prompt = [{"role": "user", "content": QUESTIONS[i]}]
        right = given == TARGETS[i]
        match = {
            "correct": right,
            "expected": TARGETS[i],
            "picked": given if right else None,
            "sampled": given,
            "options": [TARGETS[i]],
        }
        event = ("metrics", {"choice": "Y", "score": float(right), "length": 0.5}) if metrics else ("match", match)
        records.append({**common, "event_id": 2 * i, "type": "sampling", "data": {"prompt": prompt, "sampled": [given]}})
        records.append({**common, "event_id": 2 * i + 1, "type": event[0], "data": event[1]})
    return jsonl(path, [*records, *([{"final_report": {"accuracy": 0.5}, "run_id": "r"}] if finished else [])])


def promptfoo(path, *, wrong=(), providers=("openai:m",), repeat=1, error=None):
    """promptfoo, results of version 3 inside the file of ``--output`` (types/index.ts: OutputFile, EvaluateResult)."""
    results = []
    for i in range(len(QUESTIONS)):
        for again in range(repeat):
            for p, provider in enumerate(providers):
                given = answers(wrong if again == 0 else ())[i]
                right = given == TARGETS[i]
                results.append(
                    {
                        "id": f"u{i}{again}{p}",
                        "promptIdx": p,
                        "testIdx": i * repeat + again,
                        "testCase": {"vars": {"q": QUESTIONS[i]}, "assert": [{"type": "equals", "value": TARGETS[i]}]},
                        "promptId": "h",
                        "provider": {"id": provider, "label": ""},
                        "prompt": {"raw": f"Compute {QUESTIONS[i]}", "label": "Compute {{q}}"},
                        "vars": {"q": QUESTIONS[i]},
                        "response": {"output": given, "tokenUsage": {}},
                        "failureReason": 2 if i == error else 0 if right else 1,
                        "success": right,
                        "score": float(right),
                        "latencyMs": 3,
                        "gradingResult": {"pass": right, "score": float(right), "reason": ""},
                        "namedScores": {"brevity": 0.75},
                    }
                )
    summary = {"version": 3, "timestamp": "2026-08-21T10:00:00Z", "prompts": [], "results": results, "stats": {}}
    path.write_text(json.dumps({"evalId": "eval-1", "results": summary, "config": {}, "shareableUrl": None}, indent=2))
    return path


def lighteval(folder, *, wrong=(), layout="new", version=1, task="custom|sums|0", metrics=("em",)):
    """lighteval 0.13 ("new") and 0.8 ("old", and "text" with every value as text): logging/info_loggers.py and evaluation_tracker.py."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for i, given in enumerate(answers(wrong)):
        scores = {name: float(given == TARGETS[i]) for name in metrics}
        doc = {"query": QUESTIONS[i], "choices": [TARGETS[i]], "gold_index": [0], "id": str(i), "task_name": task}
        response = {
            "input": f"Q: {QUESTIONS[i]}",
            "input_tokens": [1, 2],
            "text": [given],
            "logprobs": [],
            "text_post_processed": None,
        }
        old = {
            "example": QUESTIONS[i],
            "full_prompt": f"Q: {QUESTIONS[i]}",
            "predictions": [given],
            "gold": [TARGETS[i]],
            "input_tokens": [[1, 2]],
            "metrics": scores,
        }
        text = {key: value if isinstance(value, str) else str(value) for key, value in old.items()}
        rows.append({"new": {"doc": doc, "metric": scores, "model_response": response}, "old": old, "text": text}[layout])
    details, results = folder / "details" / "org" / "m" / DATE, folder / "results" / "org" / "m"
    details.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), details / f"details_{task}_{DATE}.parquet")
    summary = {"config_general": {"model_name": "org/m"}, "versions": {task: version}}
    (results / f"results_{DATE}.json").write_text(json.dumps(summary))
    return folder


def nemo_validation(path, *, wrong=(), draws=2):
    """NeMo RL 0.6, ``val_data_stepN.jsonl`` (algorithms/grpo.py, utils/logger.py): slices of one, messages, rewards."""
    records = []
    for i in range(len(QUESTIONS)):
        for draw in range(draws):
            given = answers(wrong if draw == 0 else ())[i]
            messages = [{"role": "user", "content": QUESTIONS[i]}, {"role": "assistant", "content": given}]
            records.append({"content": [messages], "rewards": [float(given == TARGETS[i])], "idx": len(records)})
    return jsonl(path, records)


def nemo_evaluation(path, *, wrong=()):
    """NeMo RL 0.6, ``evaluation_data.json`` with ``config.json`` (evals/eval.py)."""
    found = [
        {"prompt": QUESTIONS[i], "response": given, "reward": float(given == TARGETS[i]), "message_log": "[]", "sample_index": i}
        for i, given in enumerate(answers(wrong))
    ]
    path.write_text(json.dumps({"evaluation_data": found}, indent=2))
    path.with_name("config.json").write_text(json.dumps({"model_name": "org/m", "metric": "pass@k"}))
    return path


def llama_cpp(path, logits, tokens, *, floor=16.0):
    """llama.cpp's file of ``--kl-divergence-base`` (tools/perplexity/perplexity.cpp): header, tokens, rows of 16-bit log probabilities.

    ``logits`` has shape chunks × rows × vocabulary, ``tokens`` chunks × context, with rows = context − 1 − context // 2.
    """
    chunks, rows, vocabulary = logits.shape
    context = tokens.shape[1]
    assert rows == context - 1 - context // 2
    out = b"_logits_" + struct.pack("<3i", context, vocabulary, chunks) + tokens.astype("<i4").tobytes()
    for row in logits.reshape(-1, vocabulary).astype(np.float32):
        top = row.max()
        least = max(row.min(), top - np.float32(floor))
        scale = np.float32((top - least) / 65535)
        minimum = np.float32(least - top - np.log(np.exp((row - top).astype(np.float64)).sum()))
        numbers = np.where(row > least, np.rint((row - least) / scale), 0).astype("<u2") if scale else np.zeros(vocabulary, "<u2")
        padded = np.zeros(2 * ((vocabulary + 1) // 2), "<u2")
        padded[:vocabulary] = numbers
        out += struct.pack("<2f", scale, minimum) + padded.tobytes()
    path.write_bytes(out)
    return path


def top_responses(path, log_probabilities, tokens, k, *, chat=True, custom_ids=None):
    """A response a line with the k most likely tokens, as OpenAI's API and vLLM's server return them.

    ``log_probabilities`` has shape responses × places × vocabulary, ``tokens`` responses × places (the recorded tokens).
    """
    records = []
    for r, (rows, chosen) in enumerate(zip(log_probabilities, tokens, strict=True)):
        places = []
        for row, token in zip(rows, chosen, strict=True):
            listed = [int(v) for v in np.argsort(-row)[:k]]
            order = listed if token in listed else [int(token), *listed]  # vLLM puts the recorded token first
            places.append((f"t{token}", float(row[token]), [(f"t{v}", float(row[v])) for v in order]))
        if chat:
            content = [
                {
                    "token": t,
                    "logprob": x,
                    "bytes": None,
                    "top_logprobs": [{"token": n, "logprob": y, "bytes": None} for n, y in top],
                }
                for t, x, top in places
            ]
            choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "logprobs": {"content": content}}
        else:
            names, values, tops = zip(*[(t, x, dict(top)) for t, x, top in places], strict=True)
            choice = {"index": 0, "text": "", "logprobs": {"tokens": names, "token_logprobs": values, "top_logprobs": tops}}
        body = {"id": f"cmpl-{r}", "choices": [choice]}
        records.append(
            body if custom_ids is None else {"custom_id": custom_ids[r], "response": {"status_code": 200, "body": body}}
        )
    return jsonl(Path(path), records)
