"""Studies whose recipes start from, or learn from, a model in service."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch

from traintwice import report as reports
from traintwice.data import Arrays, Digits, Table
from traintwice.engine import train
from traintwice.errors import BadInput, BadSpec
from traintwice.methods import baseline, ensemble, logged_distillation
from traintwice.nets import MLP
from traintwice.predictions import write_predictions
from traintwice.recipes import Earlier, Recipe
from traintwice.served import Logged, Stored, Weights
from traintwice.specs import decode, encode, key_of
from traintwice.study import Experiment, run

DATA = Digits(train=64, validation=20, test=40)
BASE = Recipe(network=MLP((8,)), epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def data():
    return DATA.load()


@pytest.fixture(scope="module")
def served(tmp_path_factory, data):
    """Weights of a trained network, and its probabilities of the training rows in another order."""
    folder = tmp_path_factory.mktemp("served")
    made = train(BASE, data, seed=5, replica=0)
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(made.weights))
    network = BASE.network.build(data.shape, data.classes, np.random.default_rng(0))
    network.load_state_dict({name[2:]: torch.from_numpy(array) for name, array in made.weights.items()})
    with torch.no_grad():
        probs = network(torch.from_numpy(data.train.inputs)).double().softmax(-1).numpy()
    order = np.random.default_rng(1).permutation(len(probs))
    write_predictions(folder / "served.parquet", probs[order], ids=data.ids_of("train")[order])
    return folder


def weights_after(recipe, data, **given):
    return train(recipe, data, seed=0, replica=1, **given).weights


def apart(first, second):
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def test_rows_are_named_by_their_number_in_the_source(data):
    ids = np.concatenate([data.ids_of(split) for split in data.splits])
    assert len(set(ids.tolist())) == len(ids) == 124
    assert np.array_equal(Digits().load().ids_of("train")[:64], data.ids_of("train"))  # one shuffle, whatever the sizes are


def test_logged_predictions_teach_as_the_model_itself_does(served, data):
    student = BASE.change(method=logged_distillation(0.7), teacher=Logged(str(served / "served.parquet"), id="id"))
    by_log = weights_after(student, data)
    by_model = weights_after(student.change(teacher=Weights(str(served / "model.safetensors"))), data)
    assert apart(by_log, by_model) < 1e-5
    assert apart(by_log, weights_after(BASE, data)) > 1e-2


def test_with_a_share_of_zero_the_teacher_changes_nothing(served, data):
    student = BASE.change(method=logged_distillation(0.0), teacher=Logged(str(served / "served.parquet")))
    assert apart(weights_after(student, data), weights_after(BASE, data)) < 1e-6


def test_a_warm_start_is_that_of_the_same_weights_in_a_store(served, data):
    before = train(BASE, data, seed=0, replica=0).weights
    (served / "before.safetensors").write_bytes(safetensors.numpy.save(before))
    exported = {f"networks.0.{name[2:]}": array for name, array in before.items()}
    (served / "exported.safetensors").write_bytes(safetensors.numpy.save(exported))
    (served / "plain.safetensors").write_bytes(safetensors.numpy.save({name[2:]: array for name, array in before.items()}))
    expected = weights_after(BASE.change(start=Earlier(BASE, "first")), data, start=before)
    for name in ("before", "exported", "plain"):
        found = weights_after(BASE.change(start=Weights(str(served / f"{name}.safetensors"))), data)
        assert apart(found, expected) == 0


def test_the_content_is_part_of_the_identity_and_the_path_is_not(served, tmp_path, data):
    def key(path):
        recipe = BASE.change(method=logged_distillation(), teacher=Logged(str(path)))
        return key_of(recipe, data.digest, 0)

    copy = tmp_path / "copy.parquet"
    copy.write_bytes((served / "served.parquet").read_bytes())
    assert key(copy) == key(served / "served.parquet")
    write_predictions(copy, np.full((64, 10), 0.1), ids=data.ids_of("train"))
    assert key(copy) != key(served / "served.parquet")


def test_a_study_in_worker_processes_and_its_file(served, tmp_path):
    rows = {
        "baseline": BASE,
        "logged": BASE.change(method=logged_distillation(0.7), teacher=Logged(str(served / "served.parquet"), id="id")),
        "warm": BASE.change(start=Weights(str(served / "model.safetensors"))),
    }
    experiment = Experiment("deployed", DATA, rows, replicas=2)
    assert Experiment.from_dict(experiment.to_dict()) == experiment
    results = run(experiment, store=tmp_path / "runs")
    assert results["warm"].recipe.free() == ("order",)
    against_served(results, tmp_path)
    expected = train(rows["logged"], results.data, seed=0, replica=1).outputs["test"]
    assert np.allclose(results["logged"].logits["test"][1], expected, atol=1e-4)


def against_served(results, folder):
    """The model in service is replica 0 of the baseline."""
    data, row = results.data, results["baseline"]
    order = np.random.default_rng(0).permutation(len(data.test))
    file = write_predictions(folder / "test.parquet", row.test.probs[0][order], ids=data.ids_of("test")[order])
    found = results.against(file, id="id")
    assert found["baseline"].churn.value == pytest.approx(float(np.mean(row.test.votes[0] != row.test.votes[1])) / 2)
    assert found.accuracy == pytest.approx(float(np.mean(row.test.votes[0] == data.test.labels)))
    page = reports.write(results, folder / "report", against=found)
    assert "Against the model in service" in page.read_text()
    assert "against_served" in json.loads((folder / "report/results.json").read_text())
    with pytest.raises(BadInput, match="40 of the 40 ids are missing"):
        results.against(write_predictions(folder / "other.parquet", row.test.probs[0], ids=np.arange(9000, 9040)))


def test_short_forms_in_a_file(served):
    plain = {
        **encode(BASE),
        "method": "logged_distillation",
        "teacher": {"type": "Logged", "file": str(served / "served.parquet")},
    }
    assert isinstance(decode(Recipe, plain).teacher, Logged)
    assert isinstance(decode(Recipe, {**encode(BASE), "start": {"recipe": encode(BASE)}}).start, Earlier)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": 60}, "60 rows, and 4 of the 64 ids are missing"),
        ({"names": list("abcdefghij")}, "has the classes a, b, c.*expected 10: 0, 1"),
        ({"classes": 9}, "has 9 classes, expected 10"),
        ({"text": True}, "64 of the 64 ids are missing"),
        ({"labels": True}, "has no probabilities"),
    ],
)
def test_a_log_that_does_not_fit(tmp_path, data, changed, message):
    rows, classes = changed.get("rows", 64), changed.get("classes", 10)
    ids = data.ids_of("train")[:rows]
    probs = np.zeros(rows, int) if "labels" in changed else np.full((rows, classes), 1 / classes)
    write_predictions(
        tmp_path / "log.parquet", probs, ids=ids.astype(str) if "text" in changed else ids, class_names=changed.get("names")
    )
    student = BASE.change(method=logged_distillation(), teacher=Logged(str(tmp_path / "log.parquet"), id="id"))
    with pytest.raises(BadInput, match=message):
        train(student, data, seed=0, replica=0)


def test_another_order_of_the_classes(tmp_path):
    write_predictions(tmp_path / "log.parquet", np.full((3, 2), 0.5), ids=np.arange(3), class_names=("late", "in time"))
    logged = Logged(str(tmp_path / "log.parquet"))
    with pytest.raises(BadInput, match="in the order late, in time, expected in time, late"):
        logged.probs(np.arange(3), classes=2, class_names=("in time", "late"))
    assert logged.probs(np.array([2]), classes=2, class_names=("late", "in time")).tolist() == [[0.5, 0.5]]


def test_weights_that_do_not_fit(served, data, tmp_path):
    wider = BASE.change(network=MLP((9,)), start=Weights(str(served / "model.safetensors")))
    with pytest.raises(BadSpec, match="do not fit component 0"):
        train(wider, data, seed=0, replica=0)
    deeper = BASE.change(network=MLP((8, 8)), start=Weights(str(served / "model.safetensors")))
    with pytest.raises(BadInput, match=r"has the tensors .* expected those of the recipe's network"):
        train(deeper, data, seed=0, replica=0)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(BadInput, match="cannot be read as safetensors"):
        train(BASE.change(start=Weights(str(tmp_path / "bad.safetensors"))), data, seed=0, replica=0)


def test_files_and_places_that_are_refused(served, tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        Logged("nowhere.parquet")
    with pytest.raises(BadSpec, match="expected a file of safetensors"):
        Weights(str(served / "served.parquet"))
    with pytest.raises(BadSpec, match=r"Recipe\.start: got Logged"):
        BASE.change(start=Logged(str(served / "served.parquet")))
    with pytest.raises(BadSpec, match=r"Recipe\.teacher: got Digits"):
        BASE.change(method=logged_distillation(), teacher=DATA)
    with pytest.raises(BadSpec, match="no term of the method learns from it"):
        BASE.change(method=baseline(), teacher=Logged(str(served / "served.parquet")))
    with pytest.raises(BadSpec, match="32 hexadecimal digits"):
        Stored("abc")
    changed = tmp_path / "changed.parquet"
    changed.write_bytes((served / "served.parquet").read_bytes())
    logged = Logged(str(changed))
    changed.write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="has changed since the recipe was made"):
        logged.probs(np.arange(3), classes=10)


def test_an_ensemble_starts_from_one_network_or_as_many_as_it_has(served, data, tmp_path):
    pair = BASE.change(method=ensemble(2), start=Weights(str(served / "model.safetensors")))
    assert train(pair, data, seed=0, replica=0).outputs["test"].shape[0] == 2
    weights = safetensors.numpy.load((served / "model.safetensors").read_bytes())
    three = {f"{j}.{name[2:]}": array for name, array in weights.items() for j in range(3)}
    (tmp_path / "three.safetensors").write_bytes(safetensors.numpy.save(three))
    with pytest.raises(BadInput, match="has 3 networks, expected 1 or 2"):
        train(pair.change(start=Weights(str(tmp_path / "three.safetensors"))), data, seed=0, replica=0)


def test_sources_with_ids(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", inputs=rng.normal(size=(30, 3)), labels=np.arange(30) % 2)
    arrays = Arrays(str(tmp_path / "a.npz"), validation=5, test=5).load()
    assert sorted(np.concatenate([arrays.ids_of(s) for s in arrays.splits]).tolist()) == list(range(30))
    lines = ["key,day,x,y"] + [f"k{n},2024-01-{1 + n // 3:02d},{n * 0.1},{n % 2}" for n in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    table = Table(str(tmp_path / "t.csv"), "y", validation=5, test=5, id="key", date="day").load()
    assert table.shape == (1,)
    assert table.ids_of("test").dtype.kind == "U"
    at = int(table.ids_of("test")[0][1:])
    assert table.test.dates[0] == f"2024-01-{1 + at // 3:02d}"
    assert table.digest == Table(str(tmp_path / "t.csv"), "y", validation=5, test=5, leave_out=("key", "day")).load().digest
    with pytest.raises(BadInput, match="missing or repeated"):
        Table(str(tmp_path / "t.csv"), "y", validation=5, test=5, id="day", leave_out=("key",)).load()
