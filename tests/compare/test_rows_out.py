import duckdb
import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import instability, write_rows
from traintwice.errors import BadInput


def read(path):
    found = duckdb.sql(f"SELECT * FROM '{path}' ORDER BY id").fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


@pytest.mark.parametrize("kind", ["probs", "binary", "votes"])
@pytest.mark.parametrize("retrains", [0, 4])
def test_every_row_has_its_instability(draw, write, tmp_path, kind, retrains):
    probs, y = draw(2 + retrains, 120, 2 if kind == "binary" else 3)
    models = probs.argmax(axis=2) if kind == "votes" else probs
    paths = write(models, y, shuffle=True)
    found = read(write_rows(tmp_path / "rows.parquet", paths[0], paths[1], floor=paths[2:]))
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


def test_classes_are_named(tmp_path):
    tables = [{"id": np.arange(2), "pred": np.array(p)} for p in (["cat", "it's"], ["cat", "cat"])]
    found = read(write_rows(tmp_path / "rows.parquet", *tables, probs="pred"))
    assert found["old"].tolist() == ["cat", "it's"]
    assert found["new"].tolist() == ["cat", "cat"]


@pytest.mark.parametrize("kind", ["probs", "votes", "named votes", "scores"])
def test_arrays_are_written_as_files_are(draw, write, tmp_path, kind):
    probs, _ = draw(5, 50, 3)
    models = {"probs": probs, "scores": probs[:, :, 0] * 9}.get(kind, probs.argmax(axis=2))
    options = {"classes": ["a", "b", "c"]} if kind == "named votes" else {"regression": True} if kind == "scores" else {}
    ids = np.arange(50)[::-1]
    found = read(write_rows(tmp_path / "rows.parquet", models[0], models[1], floor=list(models[2:]), id=ids, **options))
    numbered = duckdb.sql(f"SELECT row FROM '{write_rows(tmp_path / 'n.parquet', models[0], models[1], **options)}'")
    assert [row for (row,) in numbered.fetchall()] == list(range(50))
    if kind == "scores":
        assert sorted(found) == ["distance", "id", "new", "old"]
        assert_allclose(found["distance"][::-1], np.abs(models[0] - models[1]))
        return
    votes = probs[:2].argmax(axis=2)
    expected = np.array(["a", "b", "c"])[votes] if kind == "named votes" else votes
    assert (found["new"][::-1] == expected[1]).all()
    assert_allclose(found["instability"][::-1], instability(models[[0, 2, 3, 4]]), atol=1e-12)


def test_what_cannot_be_written(draw, write, tmp_path):
    probs, _ = draw(2, 20, 3)
    paths = write(probs)
    with pytest.raises(BadInput, match=r"ends in \.parquet"):
        write_rows(tmp_path / "rows.csv", *paths)
    with pytest.raises(BadInput, match="expected one file or table each"):
        write_rows(tmp_path / "rows.parquet", paths, paths[1])
