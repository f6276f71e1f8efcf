"""Every layout and format gives the same predictions; the layout is told in words."""

import json

import duckdb
import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import Layout, open_predictions
from traintwice.predictions._inputs import expand

IDS = [3, 1, 2]
PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.5, 0.25]])
LABELS = [0, 2, 0]


def rows():
    return [
        {"id": i, **{f"p_{k}": float(p) for k, p in enumerate(ps)}, "y": y, "country": c}
        for i, ps, y, c in zip(IDS, PROBS, LABELS, ["BR", "DE", "BR"], strict=True)
    ]


def as_text(path, delimiter):
    lines = [delimiter.join(rows()[0])] + [delimiter.join(str(v) for v in row.values()) for row in rows()]
    path.write_text("\n".join(lines) + "\n")


def as_parquet(path, select="*"):
    source = path.parent / "rows.csv"
    as_text(source, ",")
    duckdb.sql(f"COPY (SELECT {select} FROM '{source}') TO '{path}' (FORMAT parquet)")
    source.unlink()


def as_safetensors(path):
    from safetensors.numpy import save_file

    save_file({"id": np.array(IDS), "probs": PROBS, "y": np.array(LABELS)}, path)


LIST = "id, [p_0, p_1, p_2] AS probs, y, country"
WRITERS = {
    "a.parquet": as_parquet,
    "list.parquet": lambda path: as_parquet(path, LIST),
    "fixed.parquet": lambda path: as_parquet(path, LIST.replace(" AS probs", "::FLOAT[3] AS anything")),
    "names.parquet": lambda path: as_parquet(path, "id, p_1 AS prob_b, p_2 AS prob_c, p_0 AS prob_a, y"),
    "logits.parquet": lambda path: as_parquet(
        path, "id, ln(p_0) + 5 AS logit_0, ln(p_1) + 5 AS logit_1, ln(p_2) + 5 AS logit_2, y"
    ),
    "logit-lists.parquet": lambda path: as_parquet(path, "id, [ln(p_0), ln(p_1), ln(p_2)] AS logits, y"),
    "a.csv": lambda path: as_text(path, ","),
    "a.tsv": lambda path: as_text(path, "\t"),
    "a.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in rows())),
    "a.npz": lambda path: np.savez(path, ids=np.array(IDS), probs=PROBS, labels=np.array(LABELS)),
    "a.safetensors": as_safetensors,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_and_layout(name, tmp_path):
    WRITERS[name](tmp_path / name)
    WRITERS["a.csv"](tmp_path / "second.csv")
    logits = "logit" in name
    paths = [tmp_path / name] if logits else [tmp_path / name, tmp_path / "second.csv"]
    classes = ["a", "b", "c"] if name == "names.parquet" else None  # labels are numbers, columns have names: nothing else says it
    with open_predictions(paths, logits=logits, classes=classes) as opened:
        p = opened.read()
        assert opened.summary.rows == 3
        relation = opened.connection.execute(f"SELECT p0_0, p0_1, p0_2, v0, y FROM ({opened.relation()})").fetchall()
    assert p.ids.tolist() == IDS
    assert p.labels.tolist() == LABELS
    np.testing.assert_allclose(p.probs[0], PROBS, atol=1e-7 if "fixed" in name else 1e-15)
    np.testing.assert_allclose([row[:3] for row in relation], p.probs[0])
    assert [row[3] for row in relation] == p.votes[0].tolist()
    assert [row[4] for row in relation] == LABELS


def test_npy_by_position(tmp_path):
    np.save(tmp_path / "a.npy", PROBS)
    np.save(tmp_path / "b.npy", PROBS.astype(np.float32))
    with open_predictions(str(tmp_path), by_position=True) as opened:
        assert opened.summary.describe().splitlines()[0] == "2 files · 3 rows · by position, ids not compared"
        assert opened.read().votes.tolist() == [[0, 2, 1]] * 2


def test_one_binary_logit():
    z = np.array([-800.0, 0.0, 2.0])
    with open_predictions({"id": np.arange(3), "logit": z}, logits=True) as opened:
        np.testing.assert_allclose(opened.read().probs[0, :, 1], [0, 0.5, 1 / (1 + np.exp(-2))])


def test_regression():
    x = np.array([[1.5, -2.0], [1.0, 3.0]])
    tables = [{"id": np.arange(2), "x": row, "y": np.array([1.25, np.nan])} for row in x]
    with open_predictions(tables, probs="x", regression=True) as opened:
        (block,) = opened.batches()
        np.testing.assert_array_equal(block.scores, x)
        assert block.targets[0] == 1.25
        assert np.isnan(block.targets[1])
        assert opened.sums({"gap": "abs(x0 - x1)"}) == {"gap": 5.5}
        assert opened.summary.layouts[0] == "one number (regression) in x · id id · labels in y"
        np.testing.assert_array_equal(opened.read().targets, [1.25, np.nan])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_other_libraries(library):
    module = pytest.importorskip(library)
    content = {"id": ["b", "a", "c"], "pred": ["cat", "dog", "cat"], "y": ["cat", "cat", "fox"]}
    table = (module.DataFrame if library != "pyarrow" else module.table)(content)
    with open_predictions([table, {"id": np.array(["a", "b", "c"]), "pred": np.array(["dog", "dog", "cat"])}]) as opened:
        p = opened.read()
        assert p.class_names == ("cat", "dog", "fox")
        found = dict(zip(p.ids.tolist(), zip(*p.votes.tolist(), p.labels.tolist(), strict=True), strict=True))
    assert found == {"b": (0, 1, 0), "a": (1, 1, 0), "c": (0, 0, 2)}


@pytest.mark.parametrize("step", [-1, 2])
def test_pandas_views(step):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"id": range(6), "p": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})[::step]
    with open_predictions([table, table], id="id", probs="p") as both:
        assert both.read().probs[0, :, 1].tolist() == table["p"].tolist()


def test_pandas_columns_of_one_name():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1, 0.5, 0.5]], columns=["id", "p", "p"])
    with pytest.raises(BadInput, match="table 1: 2 columns are named 'p'"):
        open_predictions(table)


def test_labels_as_names_of_a_binary_score():
    table = {"id": np.arange(3), "p": np.array([0.9, 0.2, 0.6]), "y": np.array(["yes", "no", "no"])}
    with pytest.raises(BadInput, match=r"classes in y are no, yes and nothing says which .*pass --positive"):
        open_predictions(table)
    with open_predictions(table, positive="yes") as opened:
        assert (opened.read().labels.tolist(), opened.class_names) == ([1, 0, 0], ("no", "yes"))
        assert opened.summary.positive == "yes"
        assert opened.summary.class_rule == "classes in y: no, yes; positive class: yes (--positive)"
    with open_predictions(table, classes=["yes", "no"]) as opened:
        assert opened.read().labels.tolist() == [0, 1, 1]


def test_groups_and_time_with_missing_values(tmp_path):
    path = tmp_path / "a.parquet"
    duckdb.sql(
        "COPY (SELECT * FROM (VALUES (1, 0.5, 'BR', 7, TIMESTAMP '2024-01-01'), (2, 0.9, NULL, 8, TIMESTAMP '2024-01-02')) "
        f"t(id, p, country, plan, seen)) TO '{path}' (FORMAT parquet)"
    )
    with open_predictions(path, by=["country", "plan"], time="seen") as opened:
        p = opened.read()
    assert {name: p.groups[name].tolist() for name in ("country", "plan")} == {"country": ["BR", None], "plan": ["7", "8"]}
    assert p.groups["seen"].tolist() == ["2024-01-01", "2024-01-02"]
    assert p.slice(1, 2).groups["plan"].tolist() == ["8"]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout("list", ("probs",), classes=10, id=("a", "b")), "10 classes in the list probs · id a + b"),
        (Layout("score", ("p",), classes=2), "one score of a binary model in p · no id"),
        (Layout("score", ("z",), classes=2, logits=True), "one logit of a binary model in z · no id"),
        (
            Layout("votes", ("pred",), id=("id",), weight="w", by=("c",), time="t"),
            "predicted labels in pred · id id · weight w · by c · time t",
        ),
        (Layout("columns", ("a", "b"), classes=2, logits=True), "2 classes in a, b (logits) · no id"),
    ],
)
def test_layout_in_words(layout, words):
    assert layout.describe() == words


def test_files_in_numeric_order(tmp_path):
    for name in ("run_10.csv", "run_9.csv", "notes.txt", ".hidden.csv", "it's [1].csv"):
        (tmp_path / name).write_text("x")
    assert [p.name for p in expand(str(tmp_path))] == ["it's [1].csv", "run_9.csv", "run_10.csv"]
    assert [p.name for p in expand(str(tmp_path / "run_*.csv"))] == ["run_9.csv", "run_10.csv"]
    assert [p.name for p in expand([str(tmp_path / "it's [1].csv")])] == ["it's [1].csv"]


def test_importing_the_package_loads_no_duckdb():
    import subprocess
    import sys

    script = "import sys, traintwice.predictions; print([m for m in ('duckdb', 'torch', 'pandas') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.nan, "NaN or inf|not finite"), (np.inf, "NaN or inf|not finite"), (-0.5, "negative|outside"), (None, "missing")],
)
@pytest.mark.parametrize("layout", ["p", "p_0", "list", "x", "w", "logit_0"])
def test_one_bad_cell_among_many_whatever_the_statistics_say(tmp_path, layout, bad, message):
    """Parquet statistics leave NaN out, so a minimum of 0 and a maximum of 1 do not mean that every cell lies between."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    column, constant = [0.5] * 5000, [0.5] * 5000
    column[1234] = bad
    table = {"id": list(range(5000)), layout: column}
    if layout == "list":
        table = {"id": list(range(5000)), "p": [[a, b] for a, b in zip(column, constant, strict=True)]}
    elif layout == "w":
        table["p"] = constant
    elif layout != "p":
        table |= {"p_1": constant} if layout == "p_0" else {"logit_1": constant} if layout == "logit_0" else {}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    options = {"x": {"probs": "x", "regression": True}, "w": {"weight": "w"}, "logit_0": {"logits": True}}.get(layout, {})
    if bad == -0.5 and layout in ("x", "logit_0"):
        assert open_predictions(tmp_path / "a.parquet", **options).summary.rows == 5000
        return
    with pytest.raises(BadInput, match=rf"1 of 5,000 rows have .*({message}).*first: row 1,234, id 1234"):
        open_predictions(tmp_path / "a.parquet", **options)


@pytest.mark.parametrize("score", [0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 0.0, 1.0, 5e-324])
def test_the_vote_in_sql_is_the_vote_in_numpy(score):
    with open_predictions({"id": np.arange(1), "p": np.array([score])}) as opened:
        assert opened.sums({"v": "v0"})["v"] == opened.read().votes[0, 0]


@pytest.mark.parametrize("options", [{}, {"regression": True, "probs": "p"}])
def test_labels_that_are_nan_are_missing_whatever_the_statistics_say(tmp_path, options):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = [1.0, np.nan, None, 1.0]
    parquet.write_table(pyarrow.table({"id": [1, 2, 3, 4], "p": [0.5] * 4, "y": labels}), tmp_path / "a.parquet")
    with open_predictions(tmp_path / "a.parquet", **options) as opened:
        assert opened.summary.labelled == 2
        assert opened.sums({"labels": "y"}) == {"labels": 2.0}


@pytest.mark.parametrize("logits", [False, True])
def test_more_columns_than_an_expression_is_deep(logits, tmp_path):
    """Sums of a thousand terms go beyond DuckDB's limit."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(1200), (2, 5))
    name = "logit" if logits else "p"
    tables = [{"id": np.arange(5), name: np.log(p) if logits else p} for p in probs]
    with open_predictions(tables, logits=logits) as both:
        np.testing.assert_allclose(both.read().probs, probs, rtol=1e-9)
        assert both.sums({"flips": "v0 <> v1"}) == {"flips": (probs[0].argmax(1) != probs[1].argmax(1)).sum()}
    tables[1][name] = tables[1][name].copy()
    tables[1][name][3, 700] = np.nan
    with (
        pytest.raises(BadInput, match=r"1 of 5 rows have a missing probability \(first: row 3, id 3: .{,500}$"),
        open_predictions(tables, logits=logits) as both,
    ):
        both.read()


def test_many_columns_of_text_are_typed_as_few_are(tmp_path, monkeypatch):
    monkeypatch.setattr("traintwice.predictions._file_formats.TYPED_TOGETHER", 2)
    WRITERS["a.csv"](tmp_path / "a.csv")
    with open_predictions(tmp_path / "a.csv", by="country") as opened:
        p = opened.read()
    np.testing.assert_array_equal(p.probs[0], PROBS)
    assert (p.ids.tolist(), p.groups["country"].tolist()) == (IDS, ["BR", "DE", "BR"])
