"""A project of a user: modules with training functions."""

import importlib
import sys
import textwrap

import pytest

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes a module of the user's project and returns it, imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def write(source, name="mytrain"):
        (tmp_path / f"{name}.py").write_text("import numpy as np\n" + textwrap.dedent(source))
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in ("mytrain", "helper"):
        sys.modules.pop(name, None)
