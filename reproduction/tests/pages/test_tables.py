"""The kept results of the page of the papers are of the present tables."""

import json

import pytest

from traintwice_reproduction.pages.tables import FOLDER, is_current, page
from traintwice_reproduction.tables import ARTEFACTS
from traintwice_reproduction.tables.reproducing import studies
from traintwice_reproduction.tables.side_by_side import PaperTable

KEPT = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_what_is_kept_is_of_the_table_as_it_is_now(path):
    kept = json.loads(path.read_text())
    artefact = ARTEFACTS[kept["artefact"]]
    parts = [part for part in artefact.parts(kept["scale"]) if not part.optional or part.name in kept["chosen"]]
    tables = [PaperTable.from_dict(table) for table in kept["tables"]]
    for part in parts:
        experiment = studies(artefact, part, kept["scale"])[-1]
        assert any(f"M = {experiment.replicas}" in note for table in tables for note in table.notes if part.heading in note)
    assert kept["chosen"].keys() == {part.name for part in parts}


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_a_kept_run_of_an_earlier_version_is_said_to_be_one(path):
    kept = json.loads(path.read_text())
    text = page()
    assert is_current(kept) == (kept.get("version", 1) == ARTEFACTS[kept["artefact"]].version)
    if kept["tables"]:
        section = text.partition(f"## {kept['artefact']}\n")[2].partition("\n## ")[0]
        assert ("not run for this version yet" in section) == (not is_current(kept))


def test_the_page_names_the_processor_and_flags():
    text = page()
    assert "processor not recorded" in text
    assert "Hardware is emulated on " in text
    assert "lowest, without a test, 0.00" not in text
    assert "no augmentation, order, initialisation †" in text
