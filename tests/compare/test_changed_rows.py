import duckdb
import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import diff, instability
from traintwice.compare._changed_rows import name_of, row_columns
from traintwice.errors import BadInput
from traintwice.predictions import Predictions, open_predictions


def read(path, by="id"):
    found = duckdb.sql(f"SELECT * FROM '{path}' ORDER BY {by}").fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


class TestInstability:
    def test_uses_all_models_of_the_old_recipe(self, draw):
        probs, _ = draw(4, 100, 3)
        mean = np.sort(probs[[0, 2, 3]].mean(axis=0), axis=1)
        assert_allclose(instability(probs[[0, 2, 3]]), 1 - (mean[:, -1] - mean[:, -2]))
        votes = np.array([[0, 0, 0, 2], [0, 1, 1, 2], [0, 1, 2, 1], [0, 1, 2, 1]])
        assert_allclose(instability(votes), 1 - np.array([4, 2, 1, 0]) / 4)

    def test_of_one_model_needs_probabilities(self):
        with pytest.raises(BadInput, match="predicted labels of one model"):
            instability(np.zeros((1, 3), int))
        with pytest.raises(BadInput, match="numbers have no classes"):
            instability(Predictions.from_scores(np.zeros((2, 3))))


class TestLists:
    @pytest.mark.parametrize("blocks", [False, True])
    def test_the_rows_that_moved_most_come_first(self, draw, blocks):
        n = 60_000 if blocks else 300
        probs, y = draw(2, n, 3)
        d = diff(probs[0], probs[1], label=y, listed=7)
        distance = np.abs(probs[0] - probs[1]).sum(axis=1) / 2
        old, new = probs.argmax(axis=2)
        order = np.argsort(-distance, kind="stable")[:7]
        assert [row.position for row in d.largest_changes] == order.tolist()
        assert [(row.old, row.new, row.label) for row in d.largest_changes] == [
            (str(old[i]), str(new[i]), str(y[i])) for i in order
        ]
        assert_allclose([row.old_probability for row in d.largest_changes], probs[0, order, old[order]])
        assert_allclose([row.new_probability for row in d.largest_changes], probs[1, order, old[order]])
        assert_allclose([row.distance for row in d.largest_changes], distance[order])
        assert_allclose([row.instability for row in d.largest_changes], instability(probs[:1])[order])

    def test_the_first_regressed_rows(self, draw):
        probs, y = draw(2, 400, 3)
        d = diff(probs[0], probs[1], label=y, listed=5)
        old, new = probs.argmax(axis=2)
        regressed = np.flatnonzero((old == y) & (new != y))
        assert [row.position for row in d.regressed] == regressed[:5].tolist()
        assert d.regressed_rows == len(regressed)

    def test_rows_that_did_not_move_are_not_listed(self, draw):
        probs, y = draw(1, 40, 3)
        d = diff(probs[0], probs[0], label=y)
        assert d.largest_changes == d.regressed == ()

    def test_ids_classes_and_further_columns_are_shown(self, write, draw):
        probs, y = draw(2, 300, 3)
        names = np.array(["cat", "it's", "<b>"])
        paths = write(list(names[probs.argmax(axis=2)]), names[y], np.array(["AT", None], dtype=object)[np.arange(300) % 2])
        d = diff(*paths, show=["country"], listed=300)
        by_id = {row.id: row for row in d.regressed}
        old, new = probs.argmax(axis=2)
        assert sorted(by_id) == np.flatnonzero((old == y) & (new != y)).tolist()
        for n, row in by_id.items():
            assert (row.old, row.new, row.label) == (names[old[n]], names[new[n]], names[y[n]])
            assert row.shown == {"country": "AT" if n % 2 == 0 else None}
            assert (row.old_probability, row.distance) == (None, 1.0)
        assert d.slices == ()  # a column that is shown is not looked into

    def test_a_regression_lists_the_rows_that_got_worse_most(self):
        rng = np.random.default_rng(0)
        t = np.where(np.arange(200) % 3, rng.normal(size=200), np.nan)
        old, new = rng.normal(size=(2, 200))
        d = diff(old, new, regression=True, label=t, listed=6)
        grown = np.abs(new - t) - np.abs(old - t)
        assert [row.position for row in d.regressed] == np.argsort(-np.nan_to_num(grown, nan=-9), kind="stable")[:6].tolist()
        assert d.regressed_rows == (grown > 0).sum()
        far = np.abs(old - new)
        order = np.argsort(-far, kind="stable")[:6]
        assert [row.position for row in d.largest_changes] == order.tolist()
        assert [row.label for row in d.largest_changes] == [None if np.isnan(t[n]) else f"{t[n]:.6g}" for n in order]

    def test_none_are_kept_where_rows_are_hidden(self, draw):
        probs, y = draw(2, 100, 3)
        d = diff(probs[0], probs[1], label=y, no_rows=True)
        assert d.largest_changes == d.regressed == ()
        assert d.regressed_rows > 0


class TestFile:
    @pytest.mark.parametrize("kind", ["probs", "binary", "votes"])
    @pytest.mark.parametrize("retrains", [0, 4])
    def test_every_row_has_its_instability(self, draw, write, tmp_path, kind, retrains):
        probs, y = draw(2 + retrains, 120, 2 if kind == "binary" else 3)
        models = probs.argmax(axis=2) if kind == "votes" else probs
        paths = write(models, y, shuffle=True)
        diff(paths[0], paths[1], floor=paths[2:], rows_file=tmp_path / "rows.parquet")
        found = read(tmp_path / "rows.parquet")
        votes = probs[:2].argmax(axis=2)
        assert (found["old"] == votes[0]).all()
        assert (found["changed"] == (votes[0] != votes[1])).all()
        assert (found["id"] == np.arange(120)).all()
        if kind == "votes" and not retrains:
            assert "instability" not in found
        else:
            assert_allclose(found["instability"], instability(models[[0, *range(2, 2 + retrains)]]), atol=1e-12)
        if kind != "votes":
            assert_allclose(found["distance"], np.abs(probs[0] - probs[1]).sum(axis=1) / 2, atol=1e-12)

    def test_classes_are_named(self, tmp_path):
        tables = [{"id": np.arange(2), "pred": np.array(p)} for p in (["cat", "it's"], ["cat", "cat"])]
        diff(*tables, probs="pred", rows_file=tmp_path / "rows.parquet")
        found = read(tmp_path / "rows.parquet")
        assert found["old"].tolist() == ["cat", "it's"]
        assert found["new"].tolist() == ["cat", "cat"]

    @pytest.mark.parametrize("kind", ["probs", "votes", "named votes", "named probs", "scores"])
    def test_arrays_are_written_as_files_are(self, draw, tmp_path, kind):
        probs, _ = draw(5, 50, 3)
        models = {"probs": probs, "named probs": probs, "scores": probs[:, :, 0] * 9}.get(kind, probs.argmax(axis=2))
        options = {"classes": ["a", "b", "c"]} if "named" in kind else {"regression": True} if kind == "scores" else {}
        path = tmp_path / "rows.parquet"
        diff(models[0], models[1], floor=list(models[2:]), id=np.arange(50)[::-1], rows_file=path, **options)
        found = read(path)
        diff(models[0], models[1], rows_file=tmp_path / "n.parquet", **options)
        assert read(tmp_path / "n.parquet", "row")["row"].tolist() == list(range(50))
        if kind == "scores":
            assert sorted(found) == ["distance", "id", "new", "old"]
            assert_allclose(found["distance"][::-1], np.abs(models[0] - models[1]))
            return
        votes = probs[:2].argmax(axis=2)
        expected = np.array(["a", "b", "c"])[votes] if "named" in kind else votes
        assert (found["new"][::-1] == expected[1]).all()
        assert_allclose(found["instability"][::-1], instability(models[[0, 2, 3, 4]]), atol=1e-12)

    def test_other_endings_are_refused(self, draw, tmp_path):
        probs, _ = draw(2, 20, 3)
        with pytest.raises(BadInput, match=r"ends in \.parquet"):
            diff(probs[0], probs[1], rows_file=tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("label", "names", "expected"), [(1, ["a", "b"], "b"), (2, ["a", "b"], "2"), (-1, ["a"], "-1"), (3, None, "3")]
)
def test_names_of_classes(label, names, expected):
    assert name_of(label, names) == expected


@pytest.mark.parametrize("form", ["list", "columns"])
@pytest.mark.parametrize("olds", [(0,), (0, 1)])
def test_rows_of_many_classes(form, olds, tmp_path):
    probs = np.random.default_rng(0).dirichlet(np.ones(150), (2, 7))
    columns = [f"c{k}" for k in range(150)]
    tables = [{"id": np.arange(7), **({"q": p} if form == "list" else dict(zip(columns, p.T, strict=True)))} for p in probs]
    with open_predictions(tables, probs="q" if form == "list" else columns) as files:
        files.write(tmp_path / "rows.parquet", row_columns(files, olds))
    found = read(tmp_path / "rows.parquet")
    assert_allclose(found["distance"], np.abs(probs[0] - probs[1]).sum(axis=1) / 2)
    assert_allclose(found["instability"], instability(probs[list(olds)]))
