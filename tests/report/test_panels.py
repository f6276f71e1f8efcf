import itertools
from dataclasses import replace

import numpy as np
import pytest

from traintwice.report._page import page
from traintwice.report._panels import by_confidence, churn_by_confidence, churn_matrix, drift, training_loss
from traintwice.study import Results, curve_table, progressive_findings


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


def with_curves(results):
    """Replica m of a row loses 1 + m, then 0.5 + m, in two points of the training; the last row is of an earlier version."""
    rows = dict(results.rows)
    for name in list(rows)[:-1]:
        records = tuple({**record, "loss": [1.0 + m, 0.5 + m]} for m, record in enumerate(rows[name].records))
        rows[name] = replace(rows[name], records=records)
    return Results(results.experiment, results.data, rows)


def test_values_and_table(study):
    results = with_curves(study({"baseline": 0.3, "calm": 0.1, "older": 0.1}, replicas=3, examples=20))
    epochs = results.baseline.recipe.epochs
    assert results.curves()["calm"] == {"epochs": [epochs / 2, epochs], "loss": {m: [1.0 + m, 0.5 + m] for m in range(3)}}
    assert list(results.curves()) == list(results.to_dict()["curves"]) == ["baseline", "calm"]
    assert results.to_dict()["curves"]["calm"]["loss"]["2"] == [3.0, 2.5]
    (first, _) = curve_table(results).rows
    assert first.cells == {"start": 2.0, "half": 1.5, "end": 1.5, "least": 0.5, "most": 2.5}
    assert curve_table(study({"baseline": 0.3}, examples=20)) is None


def test_they_are_drawn_where_there_are_some(study, parsed, svg):
    plain = study({"baseline": 0.3, "calm": 0.1, "older": 0.1}, replicas=3, examples=20)
    results = with_curves(plain)
    figure = training_loss(results)
    assert "calm: 0.5 to 2.5" in figure.alt
    for spec in (figure.wide, figure.narrow):
        assert "calm" in svg(spec)
        assert len(spec["datasets"]["lines"]) == 2 * 3 * 2
    assert training_loss(plain) is None
    assert any(e.get("href") == "#training" for e in parsed(page(results)).all("a"))
    assert not any(e.get("href") == "#training" for e in parsed(page(plain)).all("a"))


def test_many_rows_are_folded(fifteen):
    made = page(with_curves(fifteen))
    assert 'data-chart="curves"' in made
    assert 'data-chart="curves-rest"' in made
