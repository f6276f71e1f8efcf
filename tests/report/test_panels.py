import itertools

import numpy as np
import pytest

from traintwice import metrics
from traintwice.report._facts import by_confidence
from traintwice.report._panels import churn_by_confidence, churn_matrix, drift, pair_churn
from traintwice.study import progressive_findings


@pytest.mark.parametrize(("draw", "named"), [(churn_by_confidence, slice(1, None)), (churn_matrix, slice(None))])
def test_they_draw_and_name_every_recipe(trained, svg, draw, named):
    figure = draw(trained)
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert all(name.split()[0] in drawn for name in list(trained.rows)[named])
    assert all(name in figure.alt for name in trained.rows)
    assert figure.wide["description"] == figure.alt


def test_bins_by_confidence(trained):
    test = trained["twice"].test
    probs, votes = np.asarray(test.probs), np.asarray(test.votes)
    replicas, examples = votes.shape
    gamma = [np.mean([np.subtract(*sorted(probs[m, n])[:-3:-1]) for m in range(replicas)]) for n in range(examples)]
    order = sorted(range(examples), key=lambda n: gamma[n])
    found = by_confidence(trained, "twice", bins=9)
    for number, point in enumerate(found):
        part = order[number * 10 : number * 10 + 10]
        flips = [votes[a, n] != votes[b, n] for n in part for a, b in itertools.combinations(range(replicas), 2)]
        assert point["confidence"] == pytest.approx(np.mean([gamma[n] for n in part]), abs=1e-4)
        assert point["churn"] == pytest.approx(100 * np.mean(flips), abs=1e-4)
    assert sum(p["examples"] for p in found) == pytest.approx(100, abs=0.1)
    assert sum(p["flips"] for p in found) == pytest.approx(100, abs=0.1)


def test_mean_of_the_matrix_is_churn(trained):
    votes = np.asarray(trained["baseline"].test.votes)
    matrix = pair_churn(votes)
    assert np.array_equal(matrix, matrix.T)
    assert not np.diag(matrix).any()
    assert matrix[~np.eye(len(matrix), dtype=bool)].mean() == pytest.approx(metrics.churn(votes))


def test_many_replicas_are_cut(study):
    pairs = churn_matrix(study({"baseline": 0.3}, replicas=33, examples=20)).wide["datasets"]["pairs"]
    assert max(record["a"] for record in pairs) == 29


def test_panels_of_chosen_rows(fifteen):
    confidence = churn_by_confidence(fifteen, ["calm", "row 3"], name="some")
    assert confidence.name == "some"
    assert {r["panel"] for r in confidence.wide["datasets"]["bins"]} == {"calm", "row 3"}
    matrix = churn_matrix(fifteen, ["row 1", "row 2", "row 3", "wild"], name="some")
    assert {r["recipe"] for r in matrix.wide["datasets"]["pairs"]} == {"row 1", "row 2", "row 3", "wild"}
    assert matrix.note.endswith("darkest shade: in wild.")
    assert churn_matrix(fifteen).note == ""


def test_the_chart_of_a_stream_draws_and_names_every_recipe(streamed, svg):
    figure = drift(progressive_findings(streamed))
    for spec in (figure.wide, figure.narrow):
        assert "anti-distilled" in svg(spec)
    assert all(name in figure.alt for name in streamed.rows)
    points = [r for r in figure.wide["datasets"]["drift"] if "apart" in r]
    assert {r["recipe"] for r in points} == set(streamed.rows)
    marks = [r["begin"] for r in figure.wide["datasets"]["drift"] if "begin" in r]
    assert marks == [min(r["seen"] for r in points if r["counted"] == "reported")]
