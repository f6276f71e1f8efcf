"""Imports point down only, the measure wing loads no torch, and the package itself loads next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import traintwice
from no_torch import HIDE_TORCH

SOURCE = Path(traintwice.__file__).parent

LAYERS = {
    "addresses": 0,
    "arrays": 0,
    "code": 0,
    "errors": 0,
    "files": 0,
    "installed": 0,
    "processes": 0,
    "study_files": 1,
    "names": 0,
    "progress": 0,
    "typed": 0,
    "types": 0,
    "statistics": 1,
    "database": 1,
    "decoding": 1,
    "predictions": 1,
    "bank": 2,
    "formatting": 1,
    "user_code": 1,
    "logs": 1,
    "augmentation": 1,
    "averaging": 1,
    "randomness": 1,
    "schedules": 1,
    "optimizers": 1,
    "losses": 1,
    "nets": 1,
    "data": 1,
    "metrics": 2,
    "methods": 2,
    "components": 2,
    "progressive": 1,
    "served": 2,
    "compare": 3,
    "gates": 4,
    "sums": 4,
    "tables": 4,
    "recipes": 3,
    "controls": 4,
    "specs": 4,
    "engine": 4,
    "study": 5,
    "replication": 6,
    "integrations": 6,
    "presets": 6,
    "report": 6,
    "cli": 8,
    "__main__": 9,
}
"""Room to layer; a room imports from its own and from lower layers."""

MEASURE_WING = {
    "addresses",
    "arrays",
    "database",
    "decoding",
    "installed",
    "errors",
    "typed",
    "types",
    "statistics",
    "predictions",
    "bank",
    "logs",
    "formatting",
    "metrics",
    "compare",
    "gates",
    "sums",
    "tables",
}
TRAIN_WING = {
    *("augmentation", "averaging", "randomness", "schedules", "optimizers", "losses", "nets", "data"),
    *("methods", "components", "progressive", "recipes", "controls", "specs", "engine"),
}


def imports_of(path: Path) -> set[str]:
    """Names of everything a file imports, wherever in it; what only type checkers see counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} if node.module != "traintwice" else {f"traintwice.{alias.name}" for alias in node.names}
    return found


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py").lstrip("_") if path.name != "__main__.py" else "__main__"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path):
    room = room_of(path)
    for name in imports_of(path):
        assert name.split(".")[0] != "traintwice_reproduction", f"{room} imports the reproduction, which depends on this package"
        if name.startswith("traintwice."):
            other = name.split(".")[1].lstrip("_")
            assert LAYERS[other] <= LAYERS[room], f"{room} imports {name}, which lies above it"
            assert not (room in MEASURE_WING and other in TRAIN_WING), f"{room} imports {name} of the other wing"
            assert not (room in TRAIN_WING and other in ("compare", "gates")), f"{room} imports {other}; they meet in study"
        assert not (room in MEASURE_WING and name.split(".")[0] == "torch"), f"{room} imports torch"


def test_every_room_has_a_layer():
    rooms = {room_of(path) for path in FILES}
    assert rooms <= set(LAYERS), f"no layer for {rooms - set(LAYERS)}: add it here and in docs/contributors/architecture.md"


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_neither_torch_nor_duckdb():
    assert not loaded_by("import traintwice") & {"torch", "duckdb", "scipy", "numpy", "rich"}
    loaded = loaded_by("import traintwice, numpy as np; traintwice.measure(np.array([[0, 1], [1, 1]]))")
    assert not loaded & {"torch", "duckdb", "sklearn", "altair", "scipy"}


def test_comparing_files_loads_no_torch():
    code = "import traintwice as t; old = {'id': [1, 2], 'p': [0.1, 0.9]}; t.diff(old, dict(old)); t.open_predictions"
    assert not loaded_by(
        f"import numpy as np; {code.replace('[1, 2]', 'np.arange(2)').replace('[0.1, 0.9]', 'np.ones(2) / 4')}"
    ) & {
        "torch",
        "altair",
        "sklearn",
        "scipy",
        "array_api_compat.numpy",  # slow to load
    }


def test_help_loads_no_torch():
    assert "torch" not in loaded_by("import traintwice.cli")


def test_measures_arrays_where_torch_is_not_installed():
    code = HIDE_TORCH + "import traintwice, numpy as np\nprint(traintwice.measure(np.array([[0, 1], [1, 1]]))['churn'].value)\n"
    code += "try:\n    traintwice.Experiment\nexcept traintwice.TraintwiceError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "0.5",
        "traintwice.Experiment needs torch. Install it with: pip install 'traintwice[torch]'",
    ]
