"""Whatever a file holds, only the project's own errors come out."""

import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import log_files
from traintwice.errors import TraintwiceError
from traintwice.logs import compare_tokens, pair_check, read_log, recognise

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.just(10**400),
    st.floats(allow_nan=True),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["id", "value", "0"]), st.integers(), max_size=2),
)


def records_of(folder):
    """A list of records for each layout, and how they are written to a file."""
    header, samples = log_files.inspect_log(epochs=2)
    whole = json.loads(log_files.promptfoo(folder / "p").read_text())
    evaluation = json.loads(log_files.nemo_evaluation(folder / "n").read_text())["evaluation_data"]

    def of_lines(path):
        return [json.loads(line) for line in path.read_text().splitlines()]

    yield of_lines(log_files.lm_eval(folder)), log_files.jsonl
    yield of_lines(log_files.lm_eval_choices(folder)), log_files.jsonl
    yield of_lines(log_files.openai_evals(folder / "o")), log_files.jsonl
    yield of_lines(log_files.nemo_validation(folder / "v")), log_files.jsonl
    yield samples, lambda path, found: zipped(path, header, found)
    yield samples, lambda path, found: path.write_text(json.dumps({**header, "samples": found})) and path
    yield whole["results"]["results"], lambda path, found: path.write_text(json.dumps({"results": {"results": found}})) and path
    yield evaluation, lambda path, found: path.write_text(json.dumps({"evaluation_data": found})) and path


def zipped(path, header, samples):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for i, sample in enumerate(samples):
            archive.writestr(f"samples/{i}_epoch_1.json", json.dumps(sample))
    return path


def refusal(call, *args, **options):
    """The message of the project's own error; empty where there is none."""
    try:
        call(*args, **options)
    except TraintwiceError as error:
        return str(error)
    return ""


def paired(path, **options):
    found = read_log(path, **options)
    pair_check(found, found)


def places(value, at=()):
    """Paths to all values inside a value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def replaced(value, at, by):
    """The value with another one in place of the one at a path."""
    if not at:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(copy[at[0]], at[1:], by)
    return copy


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_records_of_another_shape(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("x")
    records, write = data.draw(st.sampled_from(list(records_of(folder))))
    changed = records
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from([place for place in places(changed) if place]))
        changed = replaced(changed, at, data.draw(VALUES))
    path = write(folder / "log", changed)
    for options in ({}, {"scorer": "success", "filter": "strict-match"}, {"correct": "exact_match", "id": "doc_id"}):
        message = refusal(paired, path, **options)
        assert not message or str(path) in message


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("x")
    log = log_files.inspect_log()
    write = data.draw(
        st.sampled_from(
            [
                lambda p: log_files.eval_file(p, log),
                lambda p: log_files.with_zstandard(p, log),
                lambda p: next(log_files.lighteval(p).rglob("*.parquet")),
                log_files.openai_evals,
                log_files.promptfoo,
            ]
        )
    )
    path = write(folder / "log")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content))
    message = refusal(recognise, path) or refusal(read_log, path)
    assert not message or str(path) in message


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_responses_of_another_shape(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("x")
    content = [
        {"token": "x", "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -0.5}, {"token": "y", "logprob": -2.0}]}
    ]
    completions = {"tokens": ["x"], "token_logprobs": [-0.5], "top_logprobs": [{"x": -0.5, "y": -2.0}]}
    record = {"choices": [{"logprobs": data.draw(st.sampled_from([{"content": content}, completions]))}]}
    at = data.draw(st.sampled_from([place for place in places(record) if place]))
    path = log_files.jsonl(folder / "a", [replaced(record, at, data.draw(VALUES))])
    message = refusal(compare_tokens, path, path)
    assert not message or str(path) in message


@pytest.mark.parametrize("depth", [100_000])
def test_deeply_nested_values(tmp_path, depth):
    path = tmp_path / "log"
    path.write_text('{"doc_id": 0, "resps": [], "filtered_resps": ' + "[" * depth + "]" * depth + "}")
    for options in ({}, {"correct": "acc"}):
        with pytest.raises(TraintwiceError):
            read_log(path, **options)
