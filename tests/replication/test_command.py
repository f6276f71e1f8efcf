"""The command form: placeholders, files in any format, failures, study files; all by the command line."""

import json
import sys
from pathlib import Path

import pytest

from traintwice.errors import BadSpec
from traintwice.replication._study import read_study, recipes_of
from traintwice.replication._trainers import PLACEHOLDER

TRAIN = """
import argparse
import os
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--out")
parser.add_argument("--kind", default="csv")
parser.add_argument("--calm", action="store_true")
parser.add_argument("--fail", type=int)
parser.add_argument("--costs", default='{"gpu_hours": 2.5}')
given = parser.parse_args()
print("training with seed", given.seed)
if given.fail:
    raise ValueError("no data")
y = np.array([0, 1] * 20)
z = 2 * y - 1 + (0.2 if given.calm else 2.0) * np.random.default_rng(given.seed).normal(size=40)
p = 1 / (1 + np.exp(-z))
if given.kind == "npy":
    np.save(given.out, np.stack([1 - p, p], axis=1))
elif given.kind == "npz":
    np.savez(given.out, id=np.arange(40), p=p, y=y)
elif given.kind == "none":
    pass
elif given.kind == "column":
    open(given.out, "w").write("\\n".join(["p", *map(str, p)]))
elif given.kind == "json":
    import json
    open(given.out, "w").write(json.dumps([{"id": i, "p": float(a)} for i, a in enumerate(p)]))
elif given.kind == "gz":
    import gzip
    gzip.open(given.out + ".csv.gz", "wt").write("\\n".join(["id,p", *(f"{i},{a}" for i, a in enumerate(p))]))
elif given.kind == "safetensors":
    from safetensors.numpy import save_file
    save_file({"p": p}, given.out)
elif given.kind == "twice":
    os.mkdir(given.out)
    np.save(given.out + "/test.npy", p)
    np.savez(given.out + "/test.npz", p=p)
elif given.kind == "dear":
    open(os.path.join(os.environ["TRAINTWICE_FOLDER"], "costs.json"), "w").write(given.costs)
    np.save(given.out, np.stack([1 - p, p], axis=1))
else:
    with open(given.out, "w") as file:
        print("id,p,y", *[f"{i},{a},{b}" for i, a, b in zip(range(40), p, y)], sep="\\n", file=file)
"""


@pytest.fixture(autouse=True)
def _train_file(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)


COMMAND = [sys.executable, "train.py", "--seed", "{seed}", "--out", "{out}"]
HERE = ["--on", "in-process"]
"""The command itself is a process; no further one for each replica."""


def test_from_command_to_comparison(traintwice, tmp_path):
    words = ["replicate", "--replicas", 2, "--recipe", "base=", "--recipe", "calm=--calm", "--store", "runs", "--report", "page"]
    status, out, err = traintwice(*words, "--", *COMMAND)
    assert status == 0, err
    assert "4 of 4 replicas" in out
    assert "base → calm" in out
    assert (tmp_path / "page" / "index.html").exists()
    assert err.count("done") == 4
    assert "training with seed" in (tmp_path / "runs" / "logs" / "calm" / "0001.log").read_text()
    status, out, _ = traintwice("measure", "runs/predictions/base", "--against", "runs/predictions/calm", "--paired", "--json")
    assert status == 0
    assert json.loads(out)["paired"]
    status, out, err = traintwice(*words, "--json", "-q", "--", *COMMAND)
    assert (status, err) == (0, "")
    assert json.loads(out)["recipes"]["base"]["replicas"] == 2


@pytest.mark.parametrize("kind", ["csv", "npy", "npz", "column", "gz", "safetensors"])
def test_formats_without_an_ending(traintwice, tmp_path, kind):
    status, _, err = traintwice("replicate", "--replicas", 1, "--store", "runs", "-q", *HERE, "--", *COMMAND, "--kind", kind)
    assert status == 0, err
    assert (tmp_path / "runs" / "predictions" / "base" / "0000.parquet").exists()


def test_failures_are_named_and_the_others_are_kept(traintwice):
    words = ["replicate", "--replicas", 2, "--recipe", "base=", "--recipe", "odd=--fail 1", "--store", "runs"]
    status, out, err = traintwice(*words, *HERE, "--", *COMMAND)
    assert status == 2
    assert "2 of 4 replicas" not in err
    assert "2 replicas failed" in err
    assert "odd, replicas 0, 1: the command ended with status 1: ValueError: no data (log: " in err
    assert 'raise ValueError("no data")' in err
    assert "2 of 2" in out


@pytest.mark.parametrize(
    ("kind", "message"),
    [("json", "holds one JSON array; expected JSON lines"), ("twice", "two files of the split 'test': test.npy and test.npz")],
)
def test_files_that_are_not_read(traintwice, kind, message):
    status, _, err = traintwice("replicate", "--replicas", 1, "--store", "runs", *HERE, "--", *COMMAND, "--kind", kind)
    assert status == 2
    assert message in err


def test_a_command_that_writes_nothing(traintwice):
    status, _, err = traintwice("replicate", "--replicas", 1, "--store", "runs", *HERE, "--", *COMMAND, "--kind", "none")
    assert status == 2
    assert "the command wrote 0 files of predictions, expected one" in err


def test_words_that_a_shell_does_not_split(traintwice):
    for recipe in ("odd=--x 'a", 'odd=x="a'):
        status, out, err = traintwice("replicate", "--recipe", recipe, "--store", "runs", *HERE, "--", *COMMAND)
        assert (status, out) == (2, "")
        assert "which cannot be split into words (No closing quotation)" in err
    assert not Path("runs").exists()


def test_a_command_that_cannot_be_started(traintwice):
    status, _, err = traintwice("replicate", "--replicas", 1, "--store", "runs", *HERE, "--", "no-such-program", "{seed}")
    assert status == 2
    assert "no-such-program: no such program; expected a command such as python train.py" in err
    assert not Path("runs").exists()


def test_report_without_the_command(traintwice, tmp_path):
    recipes = ["--recipe", "calm=--calm", "--recipe", "base="]
    words = ["replicate", "--replicas", 2, *recipes, "--store", "runs", "-q", *HERE, "--", *COMMAND]
    _, out, _ = traintwice(*words)
    (tmp_path / "train.py").unlink()
    status, again, err = traintwice("report", "runs", "--report", "page")
    assert (status, err) == (0, "")
    assert again.startswith(out)
    assert "base" in (tmp_path / "page" / "index.html").read_text()
    status, again, _ = traintwice("report", "runs", "--json", "--report", "page")
    assert list(json.loads(again)["recipes"]) == ["calm", "base"]
    status, _, err = traintwice("report", "runs", "--study", "x")
    assert status == 2
    assert "--study x: runs holds replicas of a function or command" in err
    (tmp_path / "runs" / "study.json").unlink()
    assert traintwice("report", "runs")[0] == 2


def test_costs_are_in_the_table(traintwice):
    words = ["replicate", "--replicas", 1, "--store", "runs", "-q", *HERE, "--", *COMMAND, "--kind", "dear"]
    status, out, err = traintwice(*words)
    assert status == 0, err
    assert "gpu_hours per replica" in " ".join(out.split())
    assert "2.5" in out
    status, _, err = traintwice(
        "replicate", "--replicas", 1, "--store", "other", *HERE, "--", *COMMAND, "--kind", "dear", "--costs", "[1]"
    )
    assert status == 2
    assert "costs.json: expected a JSON object of numbers" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on", "slurm"], "no executor named 'slurm'. Known: in-process, processes, ray."),
        (["--address", "auto"], 'address, gpus: these are for executor "ray" (--on ray)'),
        (["--track", "comet"], "no tracker named 'comet'. Known: mlflow, tensorboard, wandb."),
    ],
)
def test_bad_places(traintwice, tmp_path, words, message):
    status, _, err = traintwice("replicate", "--replicas", 1, "--store", "runs", "-q", *words, "--", *COMMAND)
    assert status == 2
    assert message in " ".join(err.split())
    assert not list(tmp_path.glob("runs/records/*/*"))


def test_an_array_job(traintwice, tmp_path):
    words = ["replicate", "--replicas", 2, "--recipe", "base=", "--recipe", "calm=--calm", "--store", "runs", "-q"]
    for index in (3, 0):
        assert traintwice(*words, "--index", index, "--", *COMMAND)[:2] == (0, "")
    found = sorted(str(p.relative_to(tmp_path / "runs" / "records")) for p in (tmp_path / "runs" / "records").rglob("*.json"))
    assert found == ["base/0000.json", "calm/0001.json"]
    assert traintwice(*words, "--index", 4, "--", *COMMAND)[0] == 2
    status, out, _ = traintwice(*words, *HERE, "--", *COMMAND)
    assert status == 0
    assert "4 of 4 replicas" in out


def test_other_code_needs_consent(traintwice, tmp_path):
    words = ["replicate", "--store", "runs", "-q", *HERE]
    assert traintwice(*words, "--replicas", 1, "--", *COMMAND)[0] == 0
    (tmp_path / "train.py").write_text(TRAIN.replace("2.0", "3.0"))
    status, _, err = traintwice(*words, "--replicas", 2, "--", *COMMAND)
    assert status == 2
    assert "with other code (train.py changed since)" in " ".join(err.split())
    assert traintwice(*words, "--replicas", 2, "--mix-code", "--", *COMMAND)[0] == 0


def test_check_of_a_command(traintwice):
    status, out, _ = traintwice("check", " ".join(COMMAND))
    assert status == 0
    assert "equal predictions" in out


UNSEEDED = """
import random, sys
import numpy as np
p = np.random.default_rng(int(sys.argv[1])).random(20)
p[7] = (p[7] + random.random() + np.random.random()) / 3
with open(sys.argv[2], "w") as file:
    print("id,p,y", *[f"{100 + i},{p[i]},{i % 2}" for i in range(20)], sep="\\n", file=file)
"""


def test_check_names_what_a_command_draws_without_a_seed(traintwice, tmp_path):
    (tmp_path / "unseeded.py").write_text(UNSEEDED)
    status, out, _ = traintwice("check", f"{sys.executable} unseeded.py {{seed}} {{out}}")
    assert status == 1
    for name in ("Python's random", "NumPy's global generator"):
        assert f"{name} is drawn from without a seed; seed it with {{seed}}" in out
    assert "(row 107)" in out
    (tmp_path / "unseeded.py").write_text(UNSEEDED.replace("p[7] =", "unused ="))
    status, out, _ = traintwice("check", f"{sys.executable} unseeded.py {{seed}} {{out}}")
    assert (status, "cause" in out) == (0, False)
    assert "Python's random is drawn from without a seed; these predictions do not depend on it" in " ".join(out.split())


STUDY = """
replicas = {replicas}
[trainer]
{trainer}
[recipes]
{recipes}
"""


def test_a_study_file_with_a_command(traintwice, tmp_path):
    trainer = f"command = {json.dumps(' '.join(COMMAND))}"
    (tmp_path / "study.toml").write_text(STUDY.format(trainer=trainer, recipes='base = ""\ncalm = "--calm"', replicas=1))
    status, out, err = traintwice("run", "study.toml", "--store", "runs", "--no-report")
    assert status == 0, err
    assert "2 of 2 replicas" in out
    status, out, _ = traintwice("run", "study.toml", "--store", "runs", "--replicas", 2, "--no-report", "-q")
    assert "4 of 4 replicas" in out
    status, _, err = traintwice("run", "study.toml", "--set", "epochs=3")
    assert status == 2
    assert "--set: study.toml trains with a function or command of its own" in err


def test_a_study_file_with_a_function(traintwice, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "functions_of_study.py").write_text(
        "import numpy as np\ndef main(run, noise=1.0):\n"
        "    p = 0.5 + 0.4 * np.tanh(noise * run.stream('init').normal(size=20))\n    return {'id': np.arange(20), 'p': p}\n"
    )
    recipes = "base = {}\ncalm = { noise = 0.1 }"
    (tmp_path / "study.toml").write_text(
        STUDY.format(trainer='function = "functions_of_study:main"', recipes=recipes, replicas=2)
    )
    status, out, err = traintwice("run", "study.toml", "--store", "runs", "--report", "page")
    assert status == 0, err
    assert "4 of 4 replicas" in out
    assert (tmp_path / "page" / "index.html").exists()
    assert traintwice("check", "study.toml", "--row", "calm")[0] == 0
    status, out, err = traintwice("replicate", "functions_of_study:main", "--recipe", "base=noise=0.5", "--replicas", 1, "-q")
    assert status == 0, err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainer]\nfunction = 'a:b'\ncommand = 'c'", "trainer: expected function"),
        ("[trainer]\ncommand = 'c'\n[rows]", "no setting of a study with a trainer named 'rows'"),
        ("replicas = 'x'\n[trainer]\ncommand = 'c'", "replicas: got 'x'"),
        ("[trainer]\ncommand = 'c'\n[reading]\nidx = 'a'", "no option of reading named 'idx'"),
    ],
)
def test_study_files_are_checked(tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_study(tmp_path / "s.toml")


@pytest.mark.parametrize("text", ["base", "base=x", "base=1a=2"])
def test_recipes_are_checked(text):
    with pytest.raises(BadSpec, match="--recipe"):
        recipes_of([text], of_command=False)


def test_placeholders():
    found = [m.groups() for m in PLACEHOLDER.finditer("a{seed}b{seed:init}c{out}{other}{replica}")]
    assert found == [("seed", None), ("seed", "init"), ("out", None), ("replica", None)]


def test_an_other_word_in_braces_stays(traintwice, tmp_path):
    (tmp_path / "echo.py").write_text(
        "import sys, json\nassert sys.argv[1] == '{\"lr\": 1}', sys.argv\n"
        "open(sys.argv[2] + '.csv', 'w').write('id,p\\n' + ''.join(f'{i},0.5\\n' for i in range(5)))\n"
    )
    words = ["replicate", "--replicas", 1, "--store", "runs", "-q", *HERE, "--", sys.executable, "echo.py"]
    status, _, err = traintwice(*words, '{"lr": 1}', "{out}", "{seed:init}")
    assert status == 0, err
