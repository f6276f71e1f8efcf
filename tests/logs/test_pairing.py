"""Two logs are compared only where their inputs are the same; normalised answers."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import log_files
from traintwice.errors import BadInput, UnknownName
from traintwice.logs import STEPS, normalise, pair_check, read_log


def read(folder, **more):
    return read_log(log_files.lm_eval(folder, filters=("none",), **more))


def test_other_prompts_are_refused(tmp_path):
    old, new = read(tmp_path / "old"), read(tmp_path / "new", shots="Question: 1 + 1?\nAnswer: 2\n")
    with pytest.raises(
        BadInput, match=r"4 of 4 shared items have another prompt_hash than in .*old.* \(first: item '0' of task 'gsm8k'\)"
    ):
        pair_check(old, new)


def test_other_versions_scorers_and_filters_are_refused(tmp_path):
    old = read(tmp_path / "old")
    with pytest.raises(BadInput, match=r"version of task 'gsm8k' is '4', and '3' in .*; compare runs of one version"):
        pair_check(old, read(tmp_path / "new", version=4))
    path = log_files.lm_eval(tmp_path / "both")
    strict, flexible = (read_log(path, filter=name) for name in ("strict-match", "flexible-extract"))
    with pytest.raises(
        BadInput, match=r"filter of task 'gsm8k' is 'flexible-extract', and 'strict-match'.*read both logs with the same --filter"
    ):
        pair_check(strict, flexible)
    choices = log_files.lm_eval_choices(tmp_path / "choices")
    with pytest.raises(BadInput, match=r"scorer of task 'arc_easy' is 'acc_norm', and 'acc'"):
        pair_check(read_log(choices, scorer="acc"), read_log(choices, scorer="acc_norm"))


def columns(path, rows):
    return read_log(log_files.jsonl(path, rows), correct="ok", target="gold", prompt="prompt")


def test_other_targets_and_prompt_texts_are_refused(tmp_path):
    rows = [{"id": i, "ok": True, "gold": "a", "prompt": f"p{i}"} for i in range(3)]
    old = columns(tmp_path / "old", rows)
    changed = [row | {"gold": "b"} if row["id"] == 2 else row for row in rows]
    with pytest.raises(BadInput, match=r"1 of 3 shared items have another target .*\(first: item '2'\)"):
        pair_check(old, columns(tmp_path / "new", changed))
    with pytest.raises(BadInput, match=r"another prompt"):
        pair_check(old, columns(tmp_path / "new", [row | {"prompt": "q"} for row in rows]))
    assert pair_check(old, columns(tmp_path / "new", [row | {"prompt": None, "gold": None} for row in rows])).shared == 3


def test_items_of_one_log_alone_are_reported(tmp_path):
    rows = [{"id": i, "ok": True, "gold": None, "prompt": None} for i in range(5)]
    found = pair_check(columns(tmp_path / "old", rows[:4]), columns(tmp_path / "new", rows[1:]))
    assert (found.shared, found.only_old, found.only_new) == (3, (("", "0"),), (("", "4"),))
    with pytest.raises(BadInput, match=r"none of its 1 items is among the 1 of .* \(first: item '1' and item '0'\)"):
        pair_check(columns(tmp_path / "old", rows[:1]), columns(tmp_path / "new", rows[1:2]))


def test_log_without_a_task_pairs_with_one_task(tmp_path):
    path = log_files.lm_eval(tmp_path, filters=("none",))
    moved = path.rename(tmp_path / "moved.jsonl")
    assert pair_check(read(tmp_path), read_log(moved)).shared == 4


@pytest.mark.parametrize(
    ("step", "text", "wanted"),
    [
        ("strip", " A \n", "A"),
        ("casefold", "Straße", "strasse"),
        ("number", "1,000", "1000"),
        ("number", "1000.0", "1000"),
        ("number", "+12,345,678.900 km", "12345678.9 km"),
        ("number", "-0.0 and -5.50", "0 and -5.5"),
        ("number", "1.2.3, 007, x1, 1e3, 1,00, 2x", "1.2.3, 007, x1, 1e3, 1,00, 2x"),
        ("number", "It is 3.", "It is 3."),
        ("number", "5-3", "5-3"),
        ("punctuation", "Yes, (it is)!", "Yes it is"),
        ("punctuation", "-3.5 and 2.5.", "-3.5 and 2.5"),
        ("punctuation", "a-b «c» …", "ab c"),
    ],
)
def test_steps(step, text, wanted):
    assert normalise(text, [step]) == wanted


@example("0.-0", {"punctuation"})
@given(st.text(alphabet="aB1,.-+ 0é!\n", max_size=20), st.sets(st.sampled_from(STEPS)))
def test_order_of_steps_does_not_matter_and_twice_is_once(text, steps):
    once = normalise(text, steps)
    assert all(normalise(text, order) == once for order in itertools.islice(itertools.permutations(steps), 6))
    if "punctuation" not in steps or "number" not in steps:
        assert normalise(once, steps) == once


def test_equal_answers():
    assert len({normalise(t, STEPS) for t in ("1,000", " 1000", "1000.0", "+1000.", "1000!")}) == 1


def test_unknown_step():
    with pytest.raises(UnknownName, match=r"no step named 'lower'"):
        normalise("x", ["lower"])
