"""Digests of the code: what a replica depends on changes them, what it does not depend on leaves them."""

import ast
from functools import partial

import pytest
import torch

from traintwice._code import changes, code_of_command, code_of_function

TRAIN = """
import json
import helper

RATE = 0.1

def inner(x):
    return x * RATE

def main(run):
    # a comment
    return inner(helper.double(2))

def other(run):
    return 3

if __name__ == "__main__":
    print(main(None))
"""
HELPER = "def double(x):\n    return 2 * x\n"


def code_after(project, tmp_path, edit_train=("", ""), edit_helper=("", "")):
    (tmp_path / "helper.py").write_text(HELPER.replace(*edit_helper))
    return code_of_function(project(TRAIN.replace(*edit_train)).main)


def test_the_files_of_the_project(project, tmp_path):
    assert set(code_after(project, tmp_path)) == {"mytrain.py", "helper.py"}


@pytest.mark.parametrize(
    "edit",
    [("# a comment", "# another\n"), ("return 3", "return 4"), ("print(main(None))", "print(1)"), ("x * RATE", "x  *  RATE")],
)
def test_what_the_function_does_not_use(project, tmp_path, edit):
    assert code_after(project, tmp_path) == code_after(project, tmp_path, edit)


@pytest.mark.parametrize(
    ("train", "helper", "changed"),
    [
        (("RATE = 0.1", "RATE = 0.2"), ("", ""), ["mytrain.py"]),
        (("x * RATE", "x + RATE"), ("", ""), ["mytrain.py"]),
        (("double(2)", "double(3)"), ("", ""), ["mytrain.py"]),
        (("", ""), ("2 * x", "3 * x"), ["helper.py"]),
    ],
)
def test_what_the_function_uses(project, tmp_path, train, helper, changed):
    assert changes(code_after(project, tmp_path), code_after(project, tmp_path, train, helper)) == changed


def test_packages_with_relative_imports(tmp_path, monkeypatch):
    package = tmp_path / "mypackage"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sub" / "__init__.py").write_text("")
    (package / "sub" / "train.py").write_text(
        "from ..model import net\nfrom . import data\n\ndef main(run):\n    return net(data)\n"
    )
    (package / "sub" / "data.py").write_text("x = 1\n")
    (package / "model.py").write_text("def net(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from mypackage.sub.train import main

    found = code_of_function(main)
    assert {"train.py", "mypackage/model.py", "mypackage/sub/data.py"} <= set(found)


def test_functions_of_installed_packages_have_no_code_of_the_project():
    assert code_of_function(ast.parse) == {}


def test_a_function_without_a_file():
    made = {}
    exec("def f(run):\n    return 1\ndef g(run):\n    return 2", made)  # noqa: S102
    f, g = code_of_function(made["f"]), code_of_function(made["g"])
    assert set(f) == {"f"}
    assert set(f.values()) != set(g.values())


def schedule(start):
    return lambda: start


def inside(rate, log=None):
    helper = partial(max, rate)

    def train(run, extra=rate):
        return helper(run, log, extra)

    return train


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (0.1, 0.1, 0.2),
        ({"hidden": [8, 8]}, {"hidden": [8, 8]}, {"hidden": [8, 9]}),
        (torch.arange(3.0), torch.arange(3.0), torch.arange(3.0).double()),
        ({"a", "b"}, {"b", "a"}, {"a"}),
        ({frozenset({8, 0}), partial}, {partial, frozenset({0, 8})}, {frozenset({8, 1}), partial}),  # two orders of 0 and 8
    ],
)
def test_values_from_the_function_around_it(one, same, other):
    assert changes(code_of_function(inside(one)), code_of_function(inside(same))) == []
    changed = changes(code_of_function(inside(one)), code_of_function(inside(other)))
    assert changed == ["extra of inside.<locals>.train", "helper of inside.<locals>.train"]
    assert "log of inside.<locals>.train" not in code_of_function(inside(one, log=(x for x in ())))  # cannot be pickled
    by_partial = [code_of_function(partial(ast.parse, mode=value)) for value in (one, same, other)]
    assert by_partial[0] == by_partial[1] != by_partial[2]


@pytest.mark.parametrize(("rate", "log", "same"), [(1, 2, True), (3, 2, False), (1, 3, False)])
def test_values_from_one_function_that_is_around_two(rate, log, same):
    before, after = (code_of_function(inside(schedule(a), schedule(b))) for a, b in ((1, 2), (rate, log)))
    assert changes(before, after) == ([] if same else ["start of schedule.<locals>.<lambda>"])


NOTEBOOK = """
rate = 0.1
real = 5

def helper(x):
    return x.real * rate

first, second = (lambda x: x + 1), (lambda x: x + 2)

def train(run):
    return [first(second(helper(r))) for r in run]

def other():
    return 1
"""


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (("0.1", "0.2"), ["rate of helper"]),
        (("real * rate", "real + rate"), ["helper"]),
        (("real = 5", "real = 6"), []),  # an attribute has this name
        (("helper(r))) for", "helper(2 * r))) for"), ["train"]),
        (("x + 1", "x + 3"), ["<lambda>"]),
        (("x + 2", "x + 3"), ["<lambda>"]),
        (("return 1", "return 2"), []),
    ],
)
def test_what_a_function_of_a_notebook_uses(edit, changed):
    before, after = {}, {}
    exec(NOTEBOOK, before)  # noqa: S102
    exec(NOTEBOOK.replace(*edit), after)  # noqa: S102
    assert changes(code_of_function(before["train"]), code_of_function(after["train"])) == changed


def test_the_files_that_a_command_names(tmp_path):
    (tmp_path / "train.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "config.yaml").write_text("lr: 1\n")
    found = code_of_command(["python", "train.py", "--config", "config.yaml", "--lr", "0.1"], tmp_path)
    assert set(found) == {"train.py", "helper.py", "config.yaml"}
