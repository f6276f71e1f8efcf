"""What every result can do: a short repr, a sheet in a notebook with nothing of a file read as markup, plain values, data frames, charts,
and the nearest name."""

import json
from html.parser import HTMLParser
from importlib.util import find_spec

import numpy as np
import pytest

import traintwice
from traintwice.compare import compare_recipes
from traintwice.compare._shown import MOST_LINES, Shown
from traintwice.errors import MissingExtra, Undefined, UnknownName
from traintwice.tables._sheet import SHEETS

NASTY = "</table><script>alert('x')</script>"


@pytest.fixture(scope="module")
def results():
    """One of each kind of result on three classes, with labels, groups and retrains."""
    rng = np.random.default_rng(0)
    label, group = rng.integers(3, size=900), rng.choice(["a", "b"], 900)
    sure = 2 * np.eye(3)[label] + rng.normal(size=(900, 3))

    def model(seed):
        powers = np.exp(sure + 0.3 * np.random.default_rng(seed).normal(size=sure.shape))
        return powers / powers.sum(axis=1, keepdims=True)

    models = np.stack([model(seed) for seed in range(6)])
    options = {"label": label, "by": {"g": group}}
    budgets = [traintwice.Budget("churn", max=0.2), traintwice.Budget("churn", max=0.2, by="g")]
    return {
        "Diff": traintwice.diff(models[0], models[1], floor=list(models[2:]), **options),
        "GateResult": traintwice.gate(models[0], models[1], budgets, **options),
        "Measures": traintwice.measure(models, label),
        "Plan": traintwice.plan(churn=0.05, rows=[1000], replicas=[5, 10]),
        "RecipeComparison": compare_recipes(list(models[:3]), list(models[3:]), label=label),
        "SelfTest": traintwice.self_test(list(models[:3]), budgets[:1], by_position=True),
    }


def test_every_result_that_prints_can_do_the_same():
    import importlib

    for name, where in SHEETS.items():
        module = importlib.import_module(where.rpartition(".")[0])
        assert getattr(module, name).__repr__ is Shown.__repr__, name


@pytest.mark.parametrize("kind", ["Diff", "GateResult", "Measures", "Plan", "RecipeComparison", "SelfTest"])
def test_repr_is_short_and_data_frames_have_the_same_numbers(results, kind):
    result = results[kind]
    assert 2 <= len(repr(result).splitlines()) <= MOST_LINES
    assert max(map(len, repr(result).splitlines())) <= 112
    json.dumps(result.to_dict(), allow_nan=False)
    of_pandas, of_polars = result.to_pandas(), result.to_polars()
    assert list(of_pandas.columns) == of_polars.columns
    assert len(of_pandas) == len(of_polars) > 0


def test_main_tables_have_the_numbers_of_the_results(results):
    frame = results["Diff"].to_pandas().set_index("name")
    churn, accuracy = results["Diff"]["churn"], results["Diff"].quality[0]
    assert frame.loc["churn", ["value", "low", "high"]].tolist() == [churn.value, churn.low, churn.high]
    assert frame.loc["accuracy", ["old", "new", "value"]].tolist() == [
        accuracy.old.value,
        accuracy.new.value,
        accuracy.change.value,
    ]
    assert results["Measures"].to_pandas().set_index("name").loc["churn", "value"] == results["Measures"]["churn"].value
    checks = results["GateResult"].to_polars()
    assert checks["budget_measure"].to_list() == ["churn"] * 3
    assert checks["estimate"].to_list() == [c.estimate.value for c in results["GateResult"].checks]
    assert results["SelfTest"].to_pandas().loc[0].tolist() == list(results["SelfTest"].by_budget[0])
    plan = results["Plan"].to_pandas()
    assert plan["detects"].tolist() == [row.detects for row in results["Plan"].table]


def test_other_tables_by_name(results):
    slices = results["Diff"].to_pandas("slices")
    assert slices[["column", "value", "rows"]].to_numpy().tolist() == [
        [s.column, s.value, s.rows] for s in results["Diff"].slices
    ]
    assert slices["churn_high"].tolist() == [s.churn.high for s in results["Diff"].slices]
    assert slices["q_value"].tolist() == [s.q_value for s in results["Diff"].slices]
    empty = results["Diff"].to_pandas("periods")
    assert len(empty) == 0
    assert set(empty.columns) <= set(slices.columns)
    assert {"column", "churn_low", "q_value"} <= set(empty.columns)
    assert results["Diff"].to_polars("floors")["ratio_low"][0] == results["Diff"].floor.ratio.low


def test_wrong_names_are_answered_with_the_nearest(results):
    with pytest.raises(UnknownName, match=r"no table named 'slice'. Did you mean 'slices'"):
        results["Diff"].to_pandas("slice")
    with pytest.raises(AttributeError, match=r"'Diff' object has no attribute 'to_panda'. Did you mean 'to_pandas'"):
        results["Diff"].to_panda  # noqa: B018
    with pytest.raises(AttributeError, match=r"'plot' has no attribute 'slice'. Did you mean 'slices'"):
        results["Diff"].plot.slice  # noqa: B018
    assert {"to_pandas", "to_polars", "plot"} <= set(dir(results["Diff"]))


def test_charts_are_those_of_the_report(results):
    plot = results["Diff"].plot
    assert dir(plot) == ["confidence", "density", "flow", "periods", "predicted", "slices"]
    spec = plot.slices().to_dict()
    (drawn,) = [records for name, records in spec["datasets"].items() if name == "slices"]
    assert [r["churn"] for r in drawn] == [100 * s.churn.value for s in results["Diff"].slices]
    assert plot().to_dict()["datasets"] == spec["datasets"]
    assert results["GateResult"].plot.confidence().to_dict()["datasets"]["bands"]
    with pytest.raises(Undefined, match=r"plot.periods: .* a column of time"):
        plot.periods()


def test_a_missing_package_names_its_extra(results, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "polars" else real(name, *more))
    with pytest.raises(MissingExtra, match=r"to_polars needs polars. Install it with: pip install 'traintwice\[polars\]'"):
        results["Diff"].to_polars()


def test_results_of_other_rooms_have_the_table_of_their_sheet_or_one_row(tmp_path):
    from traintwice.replication import Replication, SameSeed

    same = SameSeed("fit", 10, True, 0.0, 0.5)
    assert same.to_pandas().to_dict("records") == [
        {"name": "fit", "rows": 10, "equal": True, "churn": 0.0, "largest": 0.5, "where": None, "hash_seed": False}
    ]
    empty = Replication(tmp_path, 3, ("base",), {}, {"base": {}}, (), {})
    assert empty.to_polars()["replicas"].to_list() == ["0 of 3"]
    assert repr(empty).startswith("0 of 3 replicas")


@pytest.fixture(scope="module")
def nasty():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    old, new, *more = (rng.dirichlet(np.ones(3), 400) for _ in range(6))
    options = {"label": labels, "by": {NASTY: np.full(400, NASTY)}, "classes": [NASTY, "b", "c"]}
    return {
        "diff": traintwice.diff(old, new, floor=more, **options),
        "gate": traintwice.gate(old, new, [traintwice.Budget("churn", max=0.1, by=NASTY)], **options),
        "recipes": traintwice.compare_recipes(np.stack([old, new, more[0]]), np.stack(more[1:]), names=(NASTY, "B")),
        "plan": traintwice.plan(0.05, 0.01),
        "measure": traintwice.measure(np.stack([old, new, *more]), labels),
    }


@pytest.mark.parametrize("name", ["diff", "gate", "recipes", "plan", "measure"])
def test_prints_and_shows_itself(nasty, name):
    text, html = str(nasty[name]), nasty[name]._repr_html_()
    assert len(text.splitlines()) > 3
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: opened.append((tag, dict(attributes)))
    parser.feed(html)
    assert "script" not in {tag for tag, _ in opened}
    assert all(set(attributes) <= {"scope", "style", "data-title"} for _, attributes in opened)
    assert "table" in {tag for tag, _ in opened}


def test_what_a_file_says_is_in_it_as_text(nasty):
    assert NASTY in str(nasty["diff"])
    assert "&lt;/table&gt;&lt;script&gt;" in nasty["diff"]._repr_html_()


def test_every_public_name_is_there():
    assert set(traintwice.__all__) <= set(dir(traintwice))
    for name in traintwice.__all__ if find_spec("torch") else ("diff", "gate"):
        assert getattr(traintwice, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'difff'"):
        traintwice.difff  # noqa: B018
