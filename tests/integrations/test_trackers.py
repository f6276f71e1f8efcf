"""Trackers on disk: MLflow and TensorBoard are read back; Weights & Biases runs offline. Runs in `make test-frameworks`."""

from importlib.util import find_spec

import numpy as np
import pytest

from traintwice import metrics, replicate
from traintwice.data import Digits
from traintwice.errors import BadSpec, MissingExtra, UnknownName
from traintwice.integrations.trackers import MLflow, TensorBoard, WandB, tracked, tracker_of
from traintwice.methods import ensemble
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.study import Experiment, run

LABELS = np.array([0, 1] * 20)


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed (make test-frameworks)")


def train(run, noise=1.0):
    for step in range(3):
        run.log(step, loss=1 / (step + 1) + run.replica, broken=float("nan"))
    z = LABELS - 0.5 + noise * run.stream("init").normal(size=40)
    p = 1 / (1 + np.exp(-z))
    return np.stack([1 - p, p], axis=1)


@pytest.fixture
def study(tmp_path):
    recipes = {"base": {}, "calm": {"noise": 0.1}}
    return replicate(train, replicas=3, recipes=recipes, labels=LABELS, store=tmp_path / "runs", executor="in-process")


def test_what_is_tracked(study):
    base, calm = tracked(study)
    assert (base.settings, calm.settings) == ({}, {"noise": "0.1"})
    churn = study.measure("calm")["churn"]
    assert (calm.measures["churn"], calm.measures["churn_low"]) == (churn.value, churn.low)
    assert base.series == {"replica_0/loss": [(0, 1.0), (1, 0.5), (2, 1 / 3)]} | {
        f"replica_{m}/loss": [(0, 1.0 + m), (1, 0.5 + m), (2, 1 / 3 + m)] for m in (1, 2)
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study of recipes, which trains in milliseconds."""
    base = Recipe(network=MLP((8,)), epochs=2, batch_size=32)
    rows = {"base": base, "two": base.change(method=ensemble(2))}
    experiment = Experiment("digits2", Digits(train=64, validation=20, test=40), rows, replicas=2)
    got = []
    found = run(experiment, store=tmp_path_factory.mktemp("tracked") / "runs", trackers=[got.append])
    assert got == [found]
    return found


def test_what_is_tracked_of_a_study(results):
    base, two = tracked(results)
    assert (base.name, two.name, two.replicas) == ("base", "two", 2)
    assert (two.settings["epochs"], two.settings["batch_size"]) == ("2", "32")
    assert "MLP" in two.settings["network"]
    churn = results.estimate(metrics.churn, "two")
    assert (two.measures["churn"], two.measures["churn_high"]) == (churn.value, churn.high)
    assert two.series == {
        f"replica_{m}/loss": list(enumerate(points, start=1)) for m, points in results.curves()["two"]["loss"].items()
    }


@needs("tensorboardX")
def test_a_study_in_tensorboard(results, tmp_path):
    TensorBoard(tmp_path / "boards")(results)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.traintwice")}
    assert {name.split("/")[1] for name in files} == {"base", "two"}
    assert "digits2" in (tmp_path / "boards" / "traintwice.html").read_text()


@needs("mlflow")
@pytest.mark.filterwarnings("default")
def test_a_study_in_mlflow(results, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    for _ in range(2):
        MLflow(uri)(results)
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("digits2").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["base", "two"]
    two = next(run for run in runs if run.info.run_name == "two")
    assert two.data.metrics["churn"] == results.estimate(metrics.churn, "two").value
    points = client.get_metric_history(two.info.run_id, "replica_1/loss")
    assert {point.value for point in points} == set(results.curves()["two"]["loss"][1])


def test_any_function_is_a_tracker(tmp_path):
    got = []
    study = replicate(train, replicas=2, labels=LABELS, store=tmp_path / "runs", executor="in-process", trackers=[got.append])
    assert got == [study]


@needs("mlflow")
@pytest.mark.filterwarnings("default")
def test_mlflow_on_disk(study, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    for _ in range(2):
        MLflow(uri)(study)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("runs")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"base", "calm"}
    calm = runs["calm"]
    assert calm.data.params == {"noise": "0.1"}
    assert calm.data.tags["traintwice.replicas"] == "3"
    assert calm.data.metrics["churn"] == study.measure("calm")["churn"].value
    history = client.get_metric_history(calm.info.run_id, "replica_1/loss")
    assert {(point.step, point.value) for point in history} == {(0, 2.0), (1, 1.5), (2, 1 / 3 + 1)}
    (page,) = client.list_artifacts(calm.info.run_id)
    assert page.path == "traintwice.html"
    with pytest.raises(BadSpec, match=r"MLflow: .* \(the replicas in .* are kept; run again to send them\)"):
        MLflow("nowhere://x")(study)


@needs("tensorboard")
@pytest.mark.filterwarnings("default")
def test_tensorboard_on_disk(study, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        TensorBoard()(study)
    read = EventAccumulator(str(study.store / "tensorboard" / "calm"))
    read.Reload()
    assert [(point.step, point.value) for point in read.Scalars("replica_2/loss")] == [
        (0, 3.0),
        (1, 2.5),
        (2, pytest.approx(7 / 3)),
    ]
    (churn,) = read.Scalars("measures/churn")
    assert churn.value == pytest.approx(study.measure("calm")["churn"].value)
    (text,) = read.Tensors("study/text_summary")
    assert b"calm" in text.tensor_proto.string_val[0]
    assert (study.store / "tensorboard" / "traintwice.html").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSpec, match=r"TensorBoard: .*the replicas in .* are kept"):
        TensorBoard(tmp_path / "file")(study)


@needs("wandb")
@pytest.mark.filterwarnings("default")
def test_weights_and_biases_offline(study, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    WandB("churn", folder=tmp_path)(study)
    runs = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    assert all(list(run.glob("run-*.wandb")) and list(run.rglob("*.html")) for run in runs)


def test_names_and_places():
    with pytest.raises(UnknownName, match="mlflow, tensorboard, wandb"):
        tracker_of("comet")
    for name, tracker in {"mlflow": MLflow("x"), "wandb": WandB("x")}.items():
        if find_spec(name) is None:
            with pytest.raises(
                MissingExtra, match=rf"--track {name} needs {name}. Install it with: pip install 'traintwice\[{name}\]'"
            ):
                tracker_of(name)
        else:
            assert tracker_of(f"{name}=x") == tracker
    with pytest.raises(BadSpec, match="--track mlflow=: expected NAME or NAME=PLACE"):
        tracker_of("mlflow=")
