"""Studies of banks: what is written is read back, wherever predictions are named; what a bank does not keep is refused."""

import json

import numpy as np
import pytest

from traintwice import Budget, compare_recipes, diff, gate, measure, open_predictions
from traintwice.bank import NewRecipe, bank_study, banks, write_study
from traintwice.errors import BadInput, UnknownName
from traintwice.predictions import Predictions, write_predictions

M, N, K = 4, 60, 5
MEASURED = ["accuracy", "churn", "churn_to_error", "log_loss", "delta_label", "calibration_error"]


@pytest.fixture
def full(draw):
    """Full probabilities and labels of two recipes."""
    probs, labels = draw(M, N, K)
    return {"steady + EMA": Predictions(probs, labels), "plain": Predictions(draw(M, N, K, seed=1)[0], labels)}


@pytest.fixture
def folder(tmp_path, monkeypatch, full):
    """The user's bank with one study, written from them."""
    monkeypatch.setenv("TRAINTWICE_BANK", str(tmp_path))
    monkeypatch.setattr("traintwice._installed.entry_points", lambda group: [])
    recipes = {row: NewRecipe(p, 1.0, 2.0, None, {"accuracy": (0.5, 0.4, 0.6), "churn": (0.25,)}) for row, p in full.items()}
    about = {"study": "toys", "data": "toys", "network": "5", "date": "2026-11-01", "cost_of": "plain"}
    write_study(tmp_path, "toys", recipes, about)
    return tmp_path


def test_a_recipe_measures_as_its_full_probabilities_do(folder, full):
    for short, name in (("steady-ema", "steady + EMA"), ("plain", "plain")):
        kept, whole = measure(f"bank:toys/{short}", which=MEASURED), measure(full[name], which=MEASURED)
        assert list(kept) == list(whole) == MEASURED
        for key in MEASURED:
            exact = key in ("accuracy", "churn", "churn_to_error")
            for part in ("value", "low", "high"):
                assert getattr(kept[key], part) == pytest.approx(
                    getattr(whole[key], part), rel=1e-12 if exact else 2e-3, nan_ok=True
                )
    assert kept["accuracy"].replicas == M


def test_measures_of_all_classes_are_left_out_in_words(folder):
    found = measure("bank:toys/plain", which=["surrogate_churn", "brier", "churn"])
    assert found.left_out == dict.fromkeys(["surrogate_churn", "brier"], "needs the probabilities of all classes")
    with pytest.raises(BadInput, match="all classes"):
        _ = bank_study("toys").predictions("plain").probs


def test_two_recipes_are_compared_by_replica(folder, full):
    kept = compare_recipes("bank:toys/plain", "bank:toys/steady-ema", paired=True, which=["churn", "log_loss"])
    whole = compare_recipes(full["plain"], full["steady + EMA"], paired=True, which=["churn", "log_loss"])
    assert kept["churn"].difference.estimate.value == whole["churn"].difference.estimate.value
    assert kept["log_loss"].difference.estimate.value == pytest.approx(whole["log_loss"].difference.estimate.value, abs=2e-3)


def test_replicas_are_compared_and_gated_as_files(folder, full, tmp_path):
    paths = [
        write_predictions(tmp_path / f"{n}.parquet", np.asarray(full[n].votes[0]), ids=np.arange(N), labels=full[n].labels)
        for n in full
    ]
    names = ["bank:toys/steady-ema/0", "bank:toys/plain/0"]
    flips = [{q.name: q.estimate.value for q in diff(*models).measures} for models in (names, paths, [names[0], paths[1]])]
    assert flips[0]["churn"] == flips[1]["churn"] == flips[2]["churn"] > 0
    assert flips[0]["negative_flips"] == flips[1]["negative_flips"] == flips[2]["negative_flips"]
    assert gate(*names, [Budget("churn", max=0.001)]).outcome == "over"
    assert diff(*names, floor="bank:toys/plain/1-3").floors[0].retrains == 3


def test_rows_are_read_as_those_of_files(folder, full):
    with open_predictions("bank:toys/plain/1-2") as rows:
        found = rows.read()
    assert np.array_equal(found.votes, full["plain"].votes[1:3])
    assert np.array_equal(found.labels, full["plain"].labels)
    assert found.ids.tolist() == list(range(N))


def test_tiny_probabilities_keep_log_loss_finite(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_BANK", str(tmp_path))
    probs = np.array([[[1 - 1e-12, 1e-12, 0.0]]] * 2)
    new = NewRecipe(Predictions(probs, np.array([1])), 1.0, 1.0, None, {})
    about = {"study": "a", "data": "a", "network": "a", "date": "", "cost_of": "one"}
    found = write_study(tmp_path, "a", {"one": new}, about).predictions("one")
    assert found.of_label.ravel().tolist() == [2.0**-24] * 2
    assert found.top.ravel().tolist() == [1.0] * 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bank:toys/steady-emma", "Did you mean 'steady-ema'"),
        ("bank:toyz/plain", "Did you mean 'toys'"),
        ("bank:toys", "expected bank:STUDY/RECIPE"),
        ("bank:toys/plain/0/1", "expected bank:STUDY/RECIPE"),
        ("bank:toys/plain/4", "the replicas 0 to 3"),
        ("bank:toys/plain/2-1", "the replicas 0 to 3"),
    ],
)
def test_names_that_mean_nothing(folder, name, told):
    with pytest.raises((BadInput, UnknownName), match=told):
        measure(name)


def test_what_a_name_cannot_be(folder, tmp_path):
    with pytest.raises(BadInput, match="names 4 replicas, expected one model; add its number, such as bank:toys/plain/0"):
        diff("bank:toys/plain", "bank:toys/plain/0")
    with pytest.raises(BadInput, match="--label has no meaning for bank:toys/plain/0"):
        measure("bank:toys/plain", label="y")
    with pytest.raises(BadInput, match="named twice"):
        measure(["bank:toys/plain/0", "bank:toys/plain"])


def test_a_study_is_not_overwritten_and_its_recipes_have_one_test_split(folder, full):
    about = {"study": "toys", "data": "toys", "network": "5", "date": "2026-11-02", "cost_of": "plain"}
    one = NewRecipe(full["plain"], 1.0, 1.0, None, {})
    before = (folder / "toys.parquet").read_bytes()
    with pytest.raises(BadInput, match="pass --replace"):
        write_study(folder, "toys", {"plain": one}, about)
    other = NewRecipe(Predictions(full["plain"].probs, (full["plain"].labels + 1) % K), 1.0, 1.0, None, {})
    with pytest.raises(BadInput, match="other was tested on other examples than plain"):
        write_study(folder, "toys", {"plain": one, "other": other}, about, replace=True)
    with pytest.raises(BadInput, match="have the same short name 'ema'"):
        write_study(folder, "toys", {"EMA": one, "ema": one}, about, replace=True)
    with pytest.raises(BadInput, match="plain has no labels"):
        write_study(folder, "new", {"plain": NewRecipe(Predictions(full["plain"].probs), 1.0, 1.0, None, {})}, about)
    with pytest.raises(BadInput, match="expected lower-case letters"):
        write_study(folder, "My study", {"plain": one}, about)
    assert (folder / "toys.parquet").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["toys.json", "toys.parquet"]
    assert list(write_study(folder, "toys", {"plain": one}, about, replace=True).recipes) == ["plain"]


def test_damaged_studies(folder):
    manifest = json.loads((folder / "toys.json").read_text())
    (folder / "cut.json").write_text('{"schema": 1,')
    (folder / "later.json").write_text('{"schema": 2}')
    (folder / "less.json").write_text(json.dumps({**manifest, "recipes": {"plain": {"replicas": 4}}}))
    plain = manifest["recipes"]["plain"]
    (folder / "many.json").write_text(json.dumps({**manifest, "recipes": {"plain": {**plain, "replicas": 10**12}}}))
    found = banks()
    assert list(found.studies) == ["toys"]
    assert "recipe 'plain' is damaged (ValueError: 1000000000000 replicas)" in found.refused["many"]
    assert "cut.json: not JSON" in found.refused["cut"]
    assert "got schema 2, expected the manifest of a study in a bank, schema 1" in found.refused["later"]
    assert "recipe 'plain' is damaged (KeyError: 'measures')" in found.refused["less"]
    with pytest.raises(BadInput, match="not JSON"):
        bank_study("cut")
    (folder / "toys.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"is not the file that toys\.json describes"):
        measure("bank:toys/plain")
    (folder / "toys.parquet").unlink()
    with pytest.raises(BadInput, match=r"toys\.parquet: cannot be read \(No such file"):
        measure("bank:toys/plain")


def test_a_name_in_two_banks_is_refused(folder, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())

    class Point:
        value, dist = "acme:BANK", None

        def load(self):
            return lambda: other

    class Broken(Point):
        def load(self):
            raise ImportError("acme")

    monkeypatch.setattr("traintwice._installed.entry_points", lambda group: [Point(), Broken()])
    found = banks()
    assert not found.studies
    assert "toys is in two banks" in found.refused["toys"]
    assert found.broken == ("package unknown: its bank cannot be opened from acme:BANK: ImportError: acme",)
    monkeypatch.setenv("TRAINTWICE_BANK", str(folder / "nowhere"))
    found = banks()
    assert list(found.studies) == ["toys"]
    assert "nowhere is not a folder" in found.broken[0]
