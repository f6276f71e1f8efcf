"""Every bad kind of log ends in one clear error."""

import zipfile

import pytest

import log_files
from traintwice.errors import BadInput
from traintwice.logs import read_log, recognise
from traintwice.logs._inspect_ai import FREE_BYTES, MOST_BYTES


def test_invalid_line_is_named(tmp_path):
    path = log_files.lm_eval(tmp_path, filters=("none",))
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:2]) + '{"doc_id": 2, ]\n' + "".join(whole[3:]))
    with pytest.raises(BadInput, match=r"line 3 is not valid JSON \(.*\). Expected one JSON object a line.$"):
        read_log(path)
    path.write_text("".join(whole)[:-40])
    with pytest.raises(BadInput, match=r"line 4 is not valid JSON .*ends inside this line: it is cut short"):
        read_log(path)
    path.write_text(whole[0] + "[1, 2]\n")
    with pytest.raises(BadInput, match=r"line 2 is a JSON array"):
        read_log(path)


def test_log_without_samples(tmp_path):
    header, _ = log_files.inspect_log()
    path = log_files.eval_file(tmp_path / "log.eval", (header, []))
    with pytest.raises(BadInput, match=r"no results of items. Expected at least one; did the run finish"):
        read_log(path)
    first = log_files.openai_evals(tmp_path / "log").read_text().splitlines()[0]
    (tmp_path / "log").write_text(first)
    with pytest.raises(BadInput, match=r"no results of items"):
        read_log(tmp_path / "log")


def test_repeats_that_are_not_numbered(tmp_path):
    path = log_files.lm_eval(tmp_path, filters=("none",))
    path.write_text(path.read_text() * 2)
    with pytest.raises(BadInput, match=r"same item more than once \(first: item '0' of task 'gsm8k'\). Expected one row"):
        read_log(path)
    path = log_files.openai_evals(tmp_path / "log")
    path.write_text(path.read_text() * 2)
    with pytest.raises(BadInput, match=r"line 13 scores 'correct' of a sample for the second time"):
        read_log(path)


def test_two_runs_of_a_task_in_one_folder(tmp_path):
    first = log_files.lm_eval(tmp_path, filters=("none",))
    first.with_name("samples_gsm8k_2026-08-22T00-00-00.000001.jsonl").write_bytes(first.read_bytes())
    with pytest.raises(BadInput, match=r"task 'gsm8k' is in two files, .*. Expected one run of each task"):
        read_log(tmp_path)


def test_folder_of_two_layouts(tmp_path):
    log_files.lm_eval(tmp_path)
    log_files.openai_evals(tmp_path / "evals.jsonl")
    with pytest.raises(BadInput, match=r"logs of 2 layouts"):
        recognise(tmp_path)


def test_scores_outside_the_unit_interval(tmp_path):
    records = [{"prompt": "p", "response": "r", "reward": -1.0, "id": i} for i in range(3)]
    with pytest.raises(BadInput, match=r"3 of 3 scores of 'reward' are outside \[0, 1\] \(first: -1 of item '0', draw 1\)"):
        read_log(log_files.jsonl(tmp_path / "log", records))


def test_scores_that_are_not_numbers(tmp_path):
    path = log_files.eval_file(tmp_path / "log", log_files.inspect_log(scorers=(), extra={"s": {"value": "great"}}))
    with pytest.raises(BadInput, match=r"no row has a score that is a number, truth value or C, I, P, N"):
        read_log(path)


def test_rollouts_of_training(tmp_path):
    records = [{"content": ["user: 2 + 2? assistant: 4"], "rewards": [1.0], "idx": 0}]
    with pytest.raises(BadInput, match=r"record 1 holds prompt and response as one text"):
        read_log(log_files.jsonl(tmp_path / "train_data_step1.jsonl", records))


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_eval_file_cut_short(tmp_path, kept):
    path = log_files.eval_file(tmp_path / "log.eval", log_files.inspect_log())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(BadInput, match=r"begins as an .eval log.*: it is cut short. Copy the file again, or repeat the run\."):
        read_log(path)


def test_damaged_sample_in_an_eval_file(tmp_path):
    path = log_files.eval_file(tmp_path / "log.eval", log_files.inspect_log())
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("samples/sum/1_epoch_1.json").header_offset
    content[place + 80 : place + 90] = b"\0" * 10
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"samples/sum/1_epoch_1.json inside the zip file is damaged"):
        read_log(path)


@pytest.mark.parametrize("compression", ["deflate", "zstandard"])
def test_damaged_check_sum(tmp_path, compression):
    write = log_files.eval_file if compression == "deflate" else log_files.with_zstandard
    path = write(tmp_path / "log.eval", log_files.inspect_log())
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02", content.index(b"samples/sum/4_epoch_1.json"))
    place = content.index(b"samples/sum/4_epoch_1.json", directory) - 46
    content[place + 16 : place + 20] = b"\1\2\3\4"
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"samples/sum/4_epoch_1.json inside the zip file is damaged"):
        read_log(path)


def test_zip_bombs_by_announced_size(tmp_path):
    path = log_files.eval_file(tmp_path / "log.eval", log_files.inspect_log())
    content = path.read_bytes()

    def announce(size):
        changed = bytearray(content)
        place = changed.index(b"samples/sum/2_epoch_1.json", changed.index(b"PK\x01\x02")) - 46
        changed[place + 24 : place + 28] = size.to_bytes(4, "little")
        path.write_bytes(bytes(changed))

    announce(MOST_BYTES + 1)
    with pytest.raises(BadInput, match=r"samples/sum/2_epoch_1.json unpacks to 1,073,741,825 bytes. Expected at most"):
        read_log(path)
    announce(FREE_BYTES + 1)
    with pytest.raises(BadInput, match=r"times as many. Expected at most 200 times"):
        read_log(path)


def test_zip_bomb_that_announces_less(tmp_path):
    """A sample that unpacks to more than announced is read up to the announced size, and its check sum is wrong."""
    header, samples = log_files.inspect_log()
    samples[1]["metadata"] = {"x": "0" * 5_000_000}
    path = log_files.eval_file(tmp_path / "log.eval", (header, samples))
    content = bytearray(path.read_bytes())
    place = content.index(b"samples/sum/2_epoch_1.json", content.index(b"PK\x01\x02")) - 46
    content[place + 24 : place + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"samples/sum/2_epoch_1.json inside the zip file is damaged"):
        read_log(path)


@pytest.mark.parametrize("cut", [10, 300, 5])
def test_json_documents_cut_short(tmp_path, cut):
    for path in (log_files.promptfoo(tmp_path / "a.json"), log_files.nemo_evaluation(tmp_path / "b.json")):
        text = path.read_text()
        path.write_text(text[:-cut])
        with pytest.raises(BadInput, match=r"cut short|Expected a complete JSON document"):
            read_log(path, scorer="success" if path.name == "a.json" else None)


def test_json_document_with_a_mistake(tmp_path):
    path = log_files.promptfoo(tmp_path / "a.json")
    path.write_text(path.read_text().replace('"latencyMs": 3', '"latencyMs" 3', 1))
    with pytest.raises(BadInput, match=r"delimiter at line \d+. Expected a complete JSON document"):
        read_log(path, scorer="success")
    path.write_bytes(path.read_bytes().replace(b'"output": "4"', b'"output": "\xe9"'))
    with pytest.raises(BadInput, match=r"is not UTF-8"):
        read_log(path, scorer="success")


def test_parquet_cut_short_is_not_a_log(tmp_path):
    folder = log_files.lighteval(tmp_path)
    file = next(folder.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-20])
    assert recognise(file) is None
