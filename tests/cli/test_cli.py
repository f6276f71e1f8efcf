"""The command line as a stranger types it: in, out, errors, exit status."""

import json
import subprocess
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from command_line import prepare, status_of
from traintwice.engine import choose
from traintwice.presets import PRESETS
from traintwice.study import Experiment

SMALL = """
name = "small"
replicas = 2
data = { type = "Digits", train = 64, validation = 20, test = 40 }
[recipe]
epochs = 1
network = { type = "MLP", hidden = [8] }
[rows.baseline]
[rows.ensemble]
method = "ensemble"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with small.toml, a store of its replicas, its report and what the run printed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.toml").write_text(SMALL)
    with (
        pytest.MonkeyPatch.context() as patch,
        (folder / "printed").open("w") as printed,
        (folder / "progress").open("w") as progress,
        redirect_stdout(printed),
        redirect_stderr(progress),
    ):
        prepare(patch, folder)
        status = status_of(patch, ["run", "small.toml", "--store", "runs", "--report", "out", "--jobs", 1])
    assert status == 0, (folder / "progress").read_text()
    return folder


def chosen():
    """The engine of this processor, and why."""
    experiment = Experiment.from_dict(tomllib.loads(SMALL))
    return choose(experiment.rows["baseline"], experiment.data.load())


def test_run_prints_table_findings_and_the_path_of_the_report(finished):
    printed = (finished / "printed").read_text()
    for expected in (
        "small · MLP 64-8-10 · 1 epochs · 2 replicas each · 40 test examples",
        "churn / error",
        "ensemble",
        "2x",
        "Intervals are 95 %",
        "variance of mean",
    ):
        assert expected in printed
    assert printed.splitlines()[-1] == "Report: out/index.html"
    assert (finished / "out" / "index.html").stat().st_size > 10_000


def test_progress_is_plain_lines_where_there_is_no_terminal(finished):
    lines = (finished / "progress").read_text().splitlines()
    finished = [line.split(" after ")[0] for line in lines if " left" not in line]  # how long is left is said of slow runs
    engine, *finished = finished
    choice = chosen()
    many = "2 replicas at once" if choice.engine == "stacked" else "one replica at a time"
    assert engine == f"engine: {choice.engine}, {many}: {choice.reason}"
    assert sorted(finished) == ["baseline: 2/2 replicas", "ensemble: 2/2 replicas"]


def test_another_engine_is_other_numerics(finished, traintwice):
    there = chosen().engine
    here = "loop" if there == "stacked" else "vectorised"
    again = ("run", finished / "small.toml", "--store", finished / "runs", "--no-report", "--replicas", "3", "--engine", here)
    status, _, err = traintwice(*again)
    assert status == 2
    assert f"engine '{there}' there, '{here}' here" in err
    status, _, err = traintwice("run", finished / "small.toml", "--no-report", "--engine", "fast")
    assert (status, "got 'fast'" in err) == (2, True)


def test_quiet_and_nothing_to_train_say_nothing_on_standard_error(finished, traintwice):
    status, _, err = traintwice("run", finished / "small.toml", "--store", finished / "runs", "--no-report", "--quiet")
    assert (status, err) == (0, "")


def test_json_is_alone_on_standard_output(finished, traintwice):
    status, out, _ = traintwice("run", finished / "small.toml", "--store", finished / "runs", "--no-report", "--json")
    results = json.loads(out)
    assert status == 0
    assert results["schema"] == 1
    assert {row["name"] for row in results["table"]["rows"]} == {"baseline", "ensemble"}
    assert results["table"]["rows"][1]["train"] == 2
    assert Experiment.from_dict(results["experiment"]).replicas == 2
    assert results["findings"]


def test_report_from_the_store_alone_equals_that_of_the_run(finished, traintwice, tmp_path):
    status, out, _ = traintwice("report", finished / "runs", "--report", "again")
    assert status == 0
    assert out.splitlines()[-1] == "Report: again/index.html"
    for name in ("index.html", "table.csv", "table.md", "results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / "out" / name).read_bytes()


def test_store_lists_and_prunes(finished, traintwice, tmp_path):
    import shutil

    shutil.copytree(finished / "runs", tmp_path / "runs")
    status, out, _ = traintwice("store", "runs", "--json")
    recipes = json.loads(out)["recipes"]
    assert status == 0
    assert [(r["replicas"], r["rows"]) for r in sorted(recipes, key=lambda r: r["rows"])] == [
        (2, ["small: baseline"]),
        (2, ["small: ensemble"]),
    ]
    (tmp_path / "runs/studies/small.json").unlink()
    (tmp_path / "runs/replicas" / recipes[0]["key"] / f".tmp-{0:032x}").write_text("half")
    assert "no study" in traintwice("store", "runs")[1]
    status, out, _ = traintwice("store", "runs", "--prune")
    assert out.count("which no study needs") == 2
    assert not list((tmp_path / "runs/replicas").iterdir())


def test_toml_of_a_preset_runs_as_it_is(traintwice, tmp_path):
    status, out, _ = traintwice("show", "digits", "--toml")
    (tmp_path / "mine.toml").write_text(out)
    assert status == 0
    assert Experiment.read(tmp_path / "mine.toml") == PRESETS["digits"]()
    (tmp_path / "mine.toml").write_text(traintwice("show", "mine.toml", "--toml", "--set", "epochs=3")[1])
    assert Experiment.read(tmp_path / "mine.toml") == PRESETS["digits"]().override(["epochs=3"])
    for arguments, message in (
        (("mine.toml", "--scale", "paper"), "--scale: mine.toml is one experiment"),
        (("ensemble", "--set", "components=3"), "--scale, --part and --set are of studies; ensemble is one of the methods"),
    ):
        status, out, err = traintwice("show", arguments[0], "--toml", *arguments[1:])
        assert (status, out) == (2, "")
        assert message in err


def test_list_names_everything_that_show_shows(traintwice):
    groups = json.loads(traintwice("list", "--json")[1])
    packages = groups.pop("packages")
    assert packages["digits"] == "traintwice"
    assert groups.pop("problems") == []
    del groups["schema"]
    assert {"digits"} <= set(groups["studies"])
    for members in groups.values():
        for name, line in members.items():
            assert line
            if packages.get(name, "traintwice") != "traintwice":
                continue  # reproduction/tests shows these
            status, out, _ = traintwice("show", name)
            assert status == 0
            assert name in out or name == "digits"
    assert "co_distillation" in traintwice("list")[1]


def test_show_says_how_a_control_is_asked_for(traintwice):
    assert "ema(base, decay=None)" in traintwice("show", "ema")[1]
    assert 'control = "ema"' in traintwice("show", "ema")[1]
    assert 'control = { builder = "wider", times = ..., shape = ..., classes = ... }' in traintwice("show", "wider")[1]


def test_help_and_version(traintwice):
    assert traintwice("--help")[0] == 0
    status, out, _ = traintwice("--version")
    assert status == 0
    assert out.startswith("traintwice 0")
    assert len(out.splitlines()) == 1
    status, out, _ = traintwice("--version", "--verbose")
    assert status == 0
    assert {"python", "system", "processors", "duckdb", "torch"} <= {line.split(":")[0] for line in out.splitlines()[1:]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "digit"], "no study named 'digit'. Did you mean 'digits'?"),
        (["run", "none.toml"], "none.toml: cannot be read"),
        (["run", "digits", "--set", "epoch=3"], "no setting named 'epoch'. Did you mean 'epochs'?"),
        (["run", "digits", "--replicas", "1"], "replicas: got 1, expected at least 2"),
        (["run", "digits", "--seed", "-1"], "seed: got -1"),
        (["run", "digits", "--name", "a/b"], "name: got 'a/b'"),
        (["run", "digits", "--store", "/proc/runs"], "/proc/runs: cannot be written"),
        (["run", "digits", "--set", "data.test=5000"], "expected three positive numbers of sum at most 1797"),
        (["report", "none"], "none: no store here"),
        (["store", "none"], "none: no store here"),
        (["show", "co_distilation"], "Did you mean 'co_distillation'"),
    ],
)
def test_mistakes_end_in_one_message_and_status_2(traintwice, tmp_path, arguments, message):
    status, out, err = traintwice(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("traintwice: ")
    assert message in err
    assert "Traceback" not in err
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "store.json"]


def test_several_studies_in_a_store(finished, traintwice, tmp_path):
    import shutil

    shutil.copytree(finished / "runs", tmp_path / "runs")
    plain = json.loads((tmp_path / "runs/studies/small.json").read_text())
    (tmp_path / "runs/studies/other.json").write_text(json.dumps({**plain, "name": "other"}))
    assert "holds 2 studies (other, small); choose one with --study" in traintwice("report", "runs")[2]
    assert traintwice("report", "runs", "--study", "small")[0] == 0
    assert "no study named 'smal'. Did you mean 'small'?" in traintwice("report", "runs", "--study", "smal")[2]


def test_a_missing_extra_is_named_before_anything_is_trained(traintwice, monkeypatch, tmp_path):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "altair" else find(name, *rest))
    status, _, err = traintwice("run", "digits", "--report", "page")
    assert status == 2
    assert err == "traintwice: the report needs altair. Install it with: pip install 'traintwice[report]'\n"
    assert not list(Path(tmp_path).iterdir())


def test_without_the_extra_a_training_prints_its_table_and_writes_no_report(traintwice, monkeypatch, finished, tmp_path):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "altair" else find(name, *rest))
    status, out, err = traintwice("run", finished / "small.toml", "--store", finished / "runs")
    assert status == 0
    assert "ensemble" in out
    assert "Report:" not in out
    assert "traintwice: no report is written: the report needs altair. Install it with: pip install 'traintwice[report]'\n" in err
    assert not list(Path(tmp_path).iterdir())


def test_ctrl_c_leaves_a_store_that_goes_on(tmp_path):
    import signal
    import time

    (tmp_path / "small.toml").write_text(SMALL.replace("epochs = 1", "epochs = 100000"))
    command = [sys.executable, "-c", "from traintwice.cli import main; main()", "run", "small.toml", "--no-report", "--jobs", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tmp_path / "traintwice-runs").glob("replicas/*/recipe.json")):
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.endswith("\ntraintwice: interrupted; finished replicas are kept, and the same command continues\n")
    assert not list((tmp_path / "traintwice-runs").rglob(".tmp-*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("verb", [("run", "digits", "--no-report"), ("check", "digits", "--steps", "1")])
def test_a_device_that_is_not_there_is_said(verb, traintwice):
    status, out, err = traintwice(*verb, "--device", "cuda")
    assert (status, out) == (2, "")
    assert err.startswith("traintwice: device: got 'cuda', but PyTorch")
    status, _, err = traintwice(*verb, "--precision", "tf32")
    assert status == 2
    assert "a mode of GPUs" in err
