"""The notebooks of docs/ run from a fresh kernel, without ipywidgets, and show what a person is meant to see."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import traintwice

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


def executed(path, folder, monkeypatch):
    """The notebook after it ran in an empty directory."""
    source = Path(traintwice.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_models(tmp_path, monkeypatch):
    notebook = executed(NOTEBOOKS[0], tmp_path, monkeypatch)
    cells = {cell.source.splitlines()[-1]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    (shown,) = cells["found"]
    assert "more than retraining causes" in shown.data["text/html"]
    assert len(shown.data["text/plain"].splitlines()) <= 15
    found = traintwice.diff(*(str(tmp_path / "traintwice-demo" / f"{name}.csv") for name in ("old", "new")))
    (frame,) = (outputs for source, outputs in cells.items() if "set_index" in source)
    assert f"{found['churn'].value:.4f}".rstrip("0") in frame[0].data["text/html"]
    charts = [outputs[0].data for source, outputs in cells.items() if ".plot." in source]
    assert len(charts) == 2
    assert all("carrier=EV" in data["image/svg+xml"] or "confidence" in data["image/svg+xml"] for data in charts)
    assert cells["result.outcome"][0].data["text/plain"] == "'over'"
    assert "1 launch " in cells['traintwice.history("launches.jsonl")'][0].data["text/plain"]
    assert not [o for outputs in cells.values() for o in outputs if o.output_type in ("error", "stream")]


def test_notebooks_are_kept_without_outputs():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells), f"{path.name}: clear the outputs before you commit"
