import pytest

from traintwice import metrics
from traintwice.report._recipe_charts import accuracy_churn, accuracy_churn_of_many, forest
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


def test_the_forest_is_sorted_and_holds_the_comparisons(fifteen):
    figure = forest(verdict(fifteen))
    churn, accuracy = fifteen.compare(metrics.churn), fifteen.compare(metrics.accuracy)
    records = figure.wide["datasets"]["differences"]
    assert [r["row"] for r in records] == sorted(churn, key=lambda row: churn[row].estimate.value)
    for r in records:
        for name, found in (("churn", churn[r["row"]]), ("accuracy", accuracy[r["row"]])):
            assert r[f"{name}_value"] == pytest.approx(100 * found.estimate.value)
            assert r[f"{name}_significant"] == found.significant
            if not r[f"{name}_cut"]:
                ends = [100 * found.estimate.low, 100 * found.estimate.high]
                assert [r[f"{name}_low"], r[f"{name}_high"]] == pytest.approx(ends)
        assert (r["kind"] == "inconclusive") == (not churn[r["row"]].significant)
        assert r["row"] in figure.alt


def test_the_forest_writes_what_lies_outside_and_says_so(fifteen, svg):
    figure = forest(verdict(fifteen))
    (wild,) = [r for r in figure.wide["datasets"]["differences"] if r["row"] == "wild"]
    assert (wild["churn_cut"], wild["churn_outside"]) == ("right", "right")
    assert wild["churn_low"] == wild["churn_high"] < wild["churn_value"]
    assert f"wild, churn {wild['churn_text']}" in figure.note
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert f"▲ {wild['churn_number']}" in drawn
        assert all(row in drawn for row in fifteen.rows if row != "baseline")


def test_a_forest_without_far_rows_cuts_nothing(study):
    figure = forest(verdict(study({"baseline": 0.3, **{f"row {n}": 0.3 for n in range(12)}}, examples=200)))
    assert figure.note == ""
    assert not any(r["churn_cut"] for r in figure.wide["datasets"]["differences"])
