import pytest

from traintwice import metrics
from traintwice.report._accuracy_churn import accuracy_churn, accuracy_churn_of_many
from traintwice.study import verdict


def test_it_draws_and_names_every_recipe(trained, svg):
    figure = accuracy_churn(trained)
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert all(name.split()[0] in drawn for name in trained.rows)
    assert all(name in figure.alt for name in trained.rows)
    assert figure.wide["description"] == figure.alt


def test_points_and_crosses_are_the_estimates(trained):
    records = accuracy_churn(trained).wide["datasets"]["recipes"]
    for record in records:
        for metric in (metrics.churn, metrics.accuracy):
            name = metric.definition.name
            estimate = trained.estimate(metric, record["recipe"])
            assert [record[name], record[f"{name}_low"], record[f"{name}_high"]] == pytest.approx(
                [100 * estimate.value, 100 * estimate.low, 100 * estimate.high]
            )


def test_only_significant_rows_are_named_and_far_ones_are_left_to_the_note(fifteen, svg):
    found = verdict(fifteen)
    figure = accuracy_churn_of_many(fifteen, found)
    named = {r["recipe"] for r in figure.wide["datasets"]["named"]}
    grey = {r["recipe"] for r in figure.wide["datasets"]["grey"]}
    assert grey == {f.row for f in found.inconclusive}
    assert named == set(fifteen.rows) - grey - {"wild"}
    assert "wild: churn" in figure.note
    assert all(row in figure.alt for row in fifteen.rows)
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert ">calm<" in drawn
        assert not any(f">{row}<" in drawn for row in grey)
