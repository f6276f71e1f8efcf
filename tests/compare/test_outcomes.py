"""Evaluation logs compared: accuracy, regressions, answers that change, reruns, tasks, graded answers, repeated draws."""

import json
import math
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import Budget, diff, gate, measure
from traintwice.errors import BadInput, UnknownName
from traintwice.statistics._inference import wilson
from traintwice.tables._diff import diff_sheet


def written(folder, name, rows):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def items(seed, n=200, loss=0.0, *, graded=False):
    """One run: answers that are mostly right, some of them written with other spaces and capitals."""
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(0).random(n) < 0.3
    for i in range(n):
        right = bool(hard[i] == (rng.random() < 0.1)) and rng.random() >= loss
        text = f"answer {i}" if right else f"answer {i + rng.integers(1, 4)}"
        score = round(float(rng.random()) * 0.4 + (0.6 if right else 0.0), 3) if graded else right
        yield {
            "id": f"q{i}",
            "task": "odd" if i % 2 else "even",
            "user": i // 4,
            "asked": f"What is {i}?",
            "score": score,
            "said": f" {text.upper()}. " if rng.random() < 0.5 else text,
        }


@pytest.fixture
def pair(tmp_path):
    old, new = list(items(1)), list(items(2, loss=0.15))
    return old, new, written(tmp_path, "old.jsonl", old), written(tmp_path, "new.jsonl", new)


COLUMNS = {"id": "id", "correct": "score", "answer": "said"}


def test_every_number_is_that_of_a_loop(pair):
    old, new, *paths = pair
    d = diff(*paths, **COLUMNS, normalise=["strip", "casefold", "punctuation"])
    right = [[row["score"] for row in run] for run in (old, new)]
    texts = [[row["said"].strip().strip(".").casefold() for row in run] for run in (old, new)]
    n, lost, won = len(old), 0, 0
    for was, now in zip(*right, strict=True):
        lost += was and not now
        won += now and not was
    changed = sum(a != b for a, b in zip(*texts, strict=True))
    alike_wrong = sum(a != b and not (x or y) for a, b, x, y in zip(*texts, *right, strict=True))
    assert_allclose(d["accuracy"].value, np.mean(right[1]) - np.mean(right[0]))
    assert_allclose(d["negative_flips"].value, lost / n)
    assert_allclose(d["positive_flips"].value, won / n)
    assert_allclose(d["churn"].value, changed / n)
    assert_allclose(d["lateral_flips"].value, alike_wrong / n)
    assert_allclose([d["churn"].low, d["churn"].high], wilson(changed / n, n, 0.95))
    (accuracy,) = d.quality
    assert_allclose(accuracy.p_value, stats.binomtest(lost, lost + won).pvalue)
    assert (d.regressed_rows, d.flow, d.predicted) == (lost, None, ())
    assert d.answers[0].verdict == "worse"


def test_without_answers_what_changes_is_the_correctness(pair):
    old, new, *paths = pair
    d = diff(*paths, id="id", correct="score")
    assert_allclose(d["churn"].value, np.mean([a["score"] != b["score"] for a, b in zip(old, new, strict=True)]))
    assert d.regressed[0].old == "right"
    assert d.regressed[0].new == "wrong"


def test_tasks_clusters_and_columns_to_show(pair):
    old, new, *paths = pair
    d = diff(*paths, **COLUMNS, by="task", cluster="user", show="asked", min_support=1)
    assert {s.value for s in d.slices} == {"odd", "even"}
    for s in d.slices:
        inside = [(a["score"], b["score"]) for a, b in zip(old, new, strict=True) if a["task"] == s.value]
        assert_allclose(s.accuracy_change.value, np.mean([b - a for a, b in inside]))
    assert d.alignment.clusters == 50
    assert d["churn"].units == 50
    first = d.regressed[0]
    assert first.shown == {"asked": f"What is {str(first.id)[1:]}?"}
    assert first.label is None


def test_reruns_are_the_floor_and_are_called_so(pair, tmp_path):
    _, _, *paths = pair
    again = [written(tmp_path, f"again{k}.jsonl", items(10 + k)) for k in range(4)]
    d = diff(*paths, floor=again, **COLUMNS, normalise=["strip", "casefold", "punctuation"])
    assert d.floor.retrains == 4
    text = f"{d}{[a.sentence for a in d.answers]}{[f.reason for f in d.floors]}"
    assert "rerun" in text
    assert "retrain" not in text
    assert d.answers[1].verdict == "more than rerunning causes"


def test_graded_answers_have_a_mean_score_and_items_that_score_lower(tmp_path):
    runs = [list(items(1, graded=True)), list(items(2, loss=0.2, graded=True))]
    paths = [written(tmp_path, f"{m}.jsonl", run) for m, run in enumerate(runs)]
    d = diff(*paths, **COLUMNS, by="task", min_support=1)
    scores = np.array([[row["score"] for row in run] for run in runs])
    (quality,) = d.quality
    assert (quality.name, d.outcomes) == ("mean_score", "graded")
    expected = stats.ttest_rel(scores[1], scores[0])
    assert_allclose(quality.change.value, (scores[1] - scores[0]).mean())
    assert_allclose(quality.p_value, expected.pvalue)
    interval = expected.confidence_interval()
    assert_allclose([quality.change.low, quality.change.high], [interval.low, interval.high], rtol=1e-6)
    assert_allclose(d["negative_flips"].value, (scores[1] < scores[0]).mean())
    assert d.left_out["accuracy"] == "answers have scores between 0 and 1, with a mean_score"
    assert "lower score" in d.answers[1].sentence
    for s in d.slices:
        of = scores[:, np.array([row["task"] == s.value for row in runs[0]])]
        bounds = (expected := stats.ttest_rel(of[1], of[0])).confidence_interval()
        change, test = s.accuracy_change, s.tests[1]
        assert_allclose([change.value, change.low, change.high], [(of[1] - of[0]).mean(), bounds.low, bounds.high], rtol=1e-6)
        assert test.question == "mean score"
        assert_allclose([test.old, test.new, test.p_value], [*of.mean(axis=1), expected.pvalue])
    assert "mean score, pp" in diff_sheet(d, every=True).to_text(200)


def test_items_without_a_score_count_for_churn_alone(tmp_path):
    rows = [list(items(1, 20)), list(items(2, 20))]
    rows[0][3]["score"] = None
    paths = [written(tmp_path, f"{m}.jsonl", run) for m, run in enumerate(rows)]
    d = diff(*paths, **COLUMNS)
    assert (d.alignment.rows, d.alignment.labelled) == (20, 19)
    assert d["churn"].examples == 20
    assert_allclose(
        d["negative_flips"].value, sum(a["score"] is True and not b["score"] for a, b in zip(*rows, strict=True)) / 19
    )


@pytest.mark.parametrize("graded", [False, True])
def test_repeated_draws_of_each_item_are_their_own_floor(tmp_path, graded):
    paths, answers, scores = [], [], []
    for m in range(2):
        runs = [list(items(20 * m + e, 60, graded=graded)) for e in range(3)]
        rows = [{**row, "epoch": e} for e, run in enumerate(runs) for row in run]
        paths.append(written(tmp_path, f"{m}.jsonl", rows))
        answers.append([[run[i]["said"] for run in runs] for i in range(60)])
        scores.append([[run[i]["score"] for run in runs] for i in range(60)])
    d = diff(*paths, **COLUMNS, draws="epoch")
    cross = within = 0.0
    for one, other in zip(*answers, strict=True):
        cross += np.mean([a != b for a in one for b in other]) / 60
        within += sum(np.mean([own[i] != own[j] for i in range(3) for j in range(i)]) for own in (one, other)) / 2 / 60
    assert_allclose([d.floor.value, d.floor.floor], [cross, within])
    (quality,) = d.quality
    assert quality.name == ("mean_score" if graded else "accuracy")
    assert_allclose([quality.old.value, quality.new.value], [np.mean(s) for s in scores])
    old, new = scores
    lost = np.mean([a > b for i in range(60) for a in old[i] for b in new[i]])
    won = np.mean([a < b for i in range(60) for a in old[i] for b in new[i]])
    again = np.mean([own[i][r] > own[i][q] for own in scores for i in range(60) for r, q in permutations(range(3), 2)])
    floor = next(f for f in d.floors if f.name == "negative_flips")
    assert_allclose([d["negative_flips"].value, d["positive_flips"].value, floor.floor], [lost, won, again])
    row = min(d.regressed, key=lambda row: row.position)
    item = int(row.id.removeprefix("q"))
    means = [np.mean(own[item]) for own in scores]
    assert [row.old, row.new] == [f"{mean:.2f}" if graded else f"{round(3 * mean)} of 3 right" for mean in means]
    assert (row.label, d.answers[1].verdict == "no value") == (None, False)
    text = diff_sheet(d, every=True).to_text(200)
    assert "answer said · draws epoch · 180 draws" in d.alignment.layouts[0]
    assert ("Items with a lower mean score" if graded else "Items with fewer right draws") in text
    assert "the floor is between two draws of one model" in text
    with pytest.raises(BadInput, match="compared by their draws, not row by row"):
        measure(paths, **COLUMNS, draws="epoch")


def test_draws_that_never_differ_are_within_noise(tmp_path):
    runs = [[{**row, "said": "x", "epoch": e} for e in range(2) for row in items(10 * m + e, 30, graded=True)] for m in range(2)]
    runs[1] = [row for row in runs[1] if row["id"] != "q3"]
    runs[0][5]["score"] = None
    d = diff(*[written(tmp_path, f"{m}.jsonl", run) for m, run in enumerate(runs)], **COLUMNS, draws="epoch", on_missing="drop")
    assert (d.answers[2].verdict, d.answers[2].detail.partition("; ")[2]) == ("within noise", "two draws never differ")
    text = " ".join(str(d).split())
    assert "0.jsonl: 1 item left out (ids missing in another file) 1 of 29 items have no score; measures that need scores" in text
    assert "leave them out, and for churn no score is an answer of its own" in text
    result = gate(
        *[str(tmp_path / f"{m}.jsonl") for m in range(2)],
        [Budget("accuracy", min=-1.0)],
        **COLUMNS,
        draws="epoch",
        on_missing="drop",
    )
    assert result.checks[0].reason == "accuracy cannot be checked: answers have scores between 0 and 1, with a mean_score"


def test_draws_without_a_score_and_without_answers(tmp_path):
    """To churn, no score is an answer of its own; items with one leave the measures of scores."""
    none = {(0, "q1", 1), (1, "q2", 0), (1, "q2", 1)}
    runs = [[{**row, "epoch": e} for e in range(2) for row in items(10 * m + e, 30)] for m in range(2)]
    for m, run in enumerate(runs):
        for row in run:
            row["score"] = None if (m, row["id"], row["epoch"]) in none else row["score"]
    paths = [written(tmp_path, f"{m}.jsonl", run) for m, run in enumerate(runs)]
    d = diff(*paths, correct="score", id=["id"], draws="epoch")
    said = [[[row["score"] for row in run if row["id"] == f"q{i}"] for i in range(30)] for run in runs]
    churn = np.mean([a != b for old, new in zip(*said, strict=True) for a in old for b in new])
    lost = [a > b for old, new in zip(*said, strict=True) if None not in (*old, *new) for a in old for b in new]
    assert_allclose([d["churn"].value, d["negative_flips"].value], [churn, np.mean(lost)])


def test_measures_and_gates_read_logs_too(pair):
    _, _, *paths = pair
    m = measure(paths, **COLUMNS)
    assert_allclose(m["churn"].value, diff(*paths, **COLUMNS)["churn"].value)
    result = gate(*paths, [Budget("negative_flips", max=0.01), Budget("accuracy", min=-0.5)], **COLUMNS)
    assert [c.outcome for c in result.checks] == ["over", "kept"]


def test_measure_of_graded_answers_has_their_mean_score(tmp_path):
    runs = [list(items(seed, 50, graded=True)) for seed in (1, 2)]
    m = measure([written(tmp_path, f"{i}.jsonl", run) for i, run in enumerate(runs)], **COLUMNS)
    assert_allclose(m["mean_score"].value, np.mean([[row["score"] for row in run] for run in runs]))
    assert "different answers to" in str(m)


def test_identical_logs_are_named(pair):
    _, _, old, _ = pair
    assert diff(old, old, **COLUMNS).answers[2].verdict == "identical"


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"probs": "said"}, BadInput, "--probs has no meaning for evaluation logs"),
        ({}, {"by": "nothing"}, UnknownName, "nothing"),
        ({}, {"correct": None, "answer": "said", "id": None}, BadInput, "--answer needs --correct"),
        ({}, {"correct": None, "answer": None, "scorer": "acc", "id": None}, BadInput, "--scorer is for evaluation logs"),
        ({}, {"task": "even"}, BadInput, "--correct score with --scorer, --filter or --task"),
        ({"id": "q999"}, {}, BadInput, "2 items are not in both logs .*on-missing drop"),
        ({"score": 1.5}, {}, BadInput, "outside"),
        ({"said": "x"}, {"normalise": ["stripp"]}, UnknownName, "strip"),
    ],
)
def test_bad_input(pair, tmp_path, change, options, error, message):
    old, _, path, _ = pair
    other = written(tmp_path, "other.jsonl", [{**old[0], **change}, *old[1:]])
    with pytest.raises(error, match=message):
        diff(path, other, **{**COLUMNS, **options})


def test_items_of_one_log_alone_can_be_dropped(pair, tmp_path):
    old, _, path, _ = pair
    other = written(tmp_path, "other.jsonl", old[5:])
    d = diff(path, other, **COLUMNS, on_missing="drop")
    assert (d.alignment.rows, d.alignment.dropped) == (195, (5, 0))


def test_a_log_of_a_known_layout_needs_no_option(tmp_path):
    def sample(i, right, answer):
        return {
            "doc_id": i, "doc": {"q": f"q{i}"}, "target": str(i), "arguments": {"gen_args_0": {"arg_0": f"q{i}"}},
            "resps": [[answer]], "filtered_resps": [answer], "filter": "none", "metrics": ["acc"], "doc_hash": f"h{i}", "acc": right,
        }  # fmt: skip

    paths = [
        written(tmp_path, f"samples_{name}.jsonl", [sample(i, float(i % 5 != k), str(i + (i % 5 == k))) for i in range(50)])
        for k, name in enumerate(("old", "new"))
    ]
    d = diff(*paths)
    assert_allclose([d["negative_flips"].value, d["churn"].value], [0.2, 0.4])
    assert "lm-evaluation-harness" in str(d)
    assert d.regressed[0].shown["target"] == str(d.regressed[0].id)
    assert math.isnan(d["accuracy"].low) or d["accuracy"].low <= 0 <= d["accuracy"].high
