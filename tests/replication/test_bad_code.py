"""Bad code of users, as a function, a command and on Ray: one sentence for each replica, and what is good is kept."""

import importlib
import json
import sys

import pytest

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)
from heavy import heavy
from traintwice import replicate

BAD = """
import os, sys, time
import numpy as np

Y = np.array([0, 1, 2] * 10)


def predictions(seed, bad=""):
    rng = np.random.default_rng(seed)
    p, y, order = rng.dirichlet(np.ones(3), size=30), Y, np.arange(30)
    print("prints to standard output", bad)
    if bad == "raises": raise ValueError("no data")
    if bad == "exits": sys.exit("cannot go on")
    if bad == "dies": os.kill(os.getpid(), 9)
    if bad == "hangs": time.sleep(600)
    if bad == "nan": p[4] = np.nan
    if bad == "rows": p, y = p[:29], y[:29]
    if bad == "order": p, y = p[rng.permutation(30)], Y[rng.permutation(30)]
    if bad == "classes": p = np.delete(p, 2, axis=1) / p[:, :2].sum(axis=1, keepdims=True); y = np.minimum(y, 1)
    if bad == "nothing": return None, None
    return p, y


def train(seed, bad=""):
    p, y = predictions(seed, bad)
    return None if p is None else {**{f"p_{k}": p[:, k] for k in range(p.shape[1])}, "y": y}


if __name__ == "__main__":
    p, y = predictions(int(sys.argv[1]), *sys.argv[3:])
    if p is not None:
        with open(sys.argv[2], "w") as file:
            print(*[f"p_{k}" for k in range(p.shape[1])], "y", sep=",", file=file)
            for row, label in zip(p, y):
                print(*row, label, sep=",", file=file)
"""

OF_DATA = {
    "rows": "29 rows, replica 0 of 'good' has 30; all replicas must answer the same rows and classes",
    "order": "the labels come in another order than in replica 0 of 'good'",
    "classes": "2 classes, replica 0 of 'good' has 3; all replicas must answer the same rows and classes",
}
OF_FUNCTION = {
    "nan": "1 of 30 rows have a probability that is missing (first: row 4",
    "raises": "ValueError: no data",
    "exits": "the training ended its process with sys.exit('cannot go on')",
    "dies": "its process was killed (signal 9",
    "hangs": "took longer than 6 s and was ended (--timeout)",
    "nothing": "the training returned None, expected predictions",
}
OF_COMMAND = {
    "nan": "NaN",
    "raises": "the command ended with status 1: ValueError: no data",
    "exits": "the command ended with status 1: cannot go on",
    "dies": "the command ended with signal 9",
    "hangs": "took longer than 6 s and was ended (--timeout)",
    "nothing": "the command wrote 0 files of predictions",
}


def check(study, expected):
    found = {failure.recipe: failure.reason for failure in study.failures}
    assert found.keys() == expected.keys()
    for recipe, sentence in expected.items():
        assert sentence in found[recipe]
        assert "\n" not in found[recipe]
        if recipe != "dies":
            assert "prints to standard output" in study.failures[list(found).index(recipe)].log.read_text()
    assert [len(paths) for paths in study.paths.values()] == [1] + [0] * len(expected)


@pytest.fixture
def bad_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "badly.py").write_text(BAD)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("badly").train
    sys.modules.pop("badly", None)


def recipes(expected, of_command):
    """The good recipe first, so that its replica is the one that others are compared with."""
    return {"good": "" if of_command else {}} | {bad: bad if of_command else {"bad": bad} for bad in expected}


@heavy
@pytest.mark.parametrize("form", ["function", "command", pytest.param("ray", marks=pytest.mark.filterwarnings("default"))])
def test_one_sentence_each(bad_code, tmp_path, form):
    of_command = form == "command"
    expected = OF_DATA | (OF_COMMAND if of_command else OF_FUNCTION)
    train = [sys.executable, "badly.py", "{seed}", "{out}"] if of_command else bad_code
    options = {"executor": "ray"} if form == "ray" else {"jobs": 2}
    good = {"good": "" if of_command else {}}
    replicate(train, replicas=1, recipes=good, store=tmp_path / "runs", executor="in-process")
    with pytest.warns(UserWarning, match="9 replicas failed"):
        study = replicate(train, replicas=1, recipes=recipes(expected, of_command), store=tmp_path / "runs", timeout=6, **options)
    check(study, expected)
    assert json.loads((tmp_path / "runs" / "records" / "good" / "0000.json").read_text())["splits"][""]["rows"] == 30


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no licence')", "Traceback (most recent call last):\n  File {file}, line 1, in <module>\n"),
        ("def main(run)", "File {file}, line 1\n    def main(run)\n                 ^\nSyntaxError: expected ':'"),
        ("import sys; sys.exit(0)", "ends its process with sys.exit(0); put what the script runs under if __name__"),
        ("import sys; sys.exit('done')", "ends its process with sys.exit('done')"),
        ("main = 3", "is of type int, expected a function"),
    ],
)
def test_a_module_that_cannot_be_imported(traintwice, tmp_path, monkeypatch, code, said):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    name = f"badly_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code)
    status, out, err = traintwice("replicate", "--", f"{name}:main")
    assert (status, out) == (2, "")
    assert said.replace("{file}", f'"{tmp_path / name}.py"') in err
    assert "_user_code.py" not in err
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py" and path.name != "__pycache__"] == []


def test_an_error_of_a_study_that_is_raised_while_its_data_are_read(traintwice, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "badly_read.py").write_text("def make(split, seed, replica, epoch):\n    return 1 / 0\n")
    (tmp_path / "s.toml").write_text(
        'name = "s"\n[data]\ntype = "Loader"\nmaker = "badly_read:make"\nclasses = 2\nexamples = 8\n[rows.base]\n'
    )
    status, _, err = traintwice("run", "s.toml", "--no-report", "--store", tmp_path / "store")
    assert status == 2
    assert f'Traceback (most recent call last):\n  File "{tmp_path}/badly_read.py", line 2, in make' in err
