"""The notebooks of docs/ run from a fresh kernel, without ipywidgets, and show what a person is meant to see."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import traintwice

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request, tmp_path, monkeypatch):
    """The outputs of a notebook that ran in an empty directory: for the last line of each code cell."""
    source = Path(traintwice.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(request.param, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    found = {cell.source.splitlines()[-1]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert not [o for outputs in found.values() for o in outputs if o.output_type in ("error", "stream")]
    monkeypatch.chdir(tmp_path)
    return found


def only(names):
    """Marks a test of some of the notebooks."""
    paths = [path for path in NOTEBOOKS if path.stem in names]
    return pytest.mark.parametrize("cells", paths, indirect=True, ids=lambda path: path.stem)


def shown(outputs, kind="text/plain"):
    """What a cell shows, with spaces for line ends."""
    (output,) = outputs
    return " ".join(output.data[kind].split())


@only(["launch_decision"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_launch_decision(cells):
    assert "more than retraining causes" in shown(cells["found"], "text/html")
    assert len(cells["found"][0].data["text/plain"].splitlines()) <= 15
    found = traintwice.diff("traintwice-demo/old.csv", "traintwice-demo/new.csv")
    (frame,) = (outputs for source, outputs in cells.items() if "set_index" in source)
    assert f"{found['churn'].value:.4f}".rstrip("0") in shown(frame, "text/html")
    charts = [outputs[0].data for source, outputs in cells.items() if ".plot." in source]
    assert len(charts) == 2
    assert all("carrier=EV" in data["image/svg+xml"] or "confidence" in data["image/svg+xml"] for data in charts)
    assert shown(cells["first_day.outcome"]) == "'inconclusive'"
    assert shown(cells["second_day.outcome"]) == "'over'"
    assert shown(cells["average"]).startswith("Gate passed")
    assert "3 launches " in shown(cells['traintwice.history("launches.jsonl")'])


@only(["evaluation_reruns"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_evaluation_reruns(cells):
    answers = shown(cells["found"])
    assert "lm-evaluation-harness" in answers
    assert "Quality inconclusive" in answers
    assert "Regressions more than rerunning causes" in answers
    assert shown(cells["gate.outcome"]) == "'over'"
    (sentence,) = (outputs for source, outputs in cells.items() if source.startswith("traintwice.measure"))
    assert "different answers to" in shown(sentence)
    found = traintwice.diff_tokens("base.kld", "4 bits.kld")
    assert found.documents == 40
    assert f"{found['same_top'].at_least.value:.1%}" in shown(
        next(o for source, o in cells.items() if source.startswith("{name:"))
    )
    assert traintwice.diff_tokens("base.kld", "8 bits.kld")["kl_mean"].at_least.high < found["kl_mean"].at_least.low


@only(["ten_retrains"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ten_retrains(cells):
    assert shown(cells["seeds"]).count("10 of 10") == 2
    assert "Recipe average-of-3 churns" in shown(cells['seeds.compare()["average-of-3"]'])
    assert "Disagreement within noise" in shown(cells["traintwice.diff(old, new, floor=retrains)"])
    against = shown(cells["rows.against(served.predict_proba(X_test))"])
    assert "distilled: Within noise" in against
    assert "distilled − logistic: churn −" in against


def test_every_notebook_has_a_test_and_is_kept_without_outputs():
    assert [path.stem for path in NOTEBOOKS] == ["evaluation_reruns", "launch_decision", "ten_retrains"]
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells), f"{path.name}: clear the outputs before you commit"
