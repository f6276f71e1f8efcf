"""docs/papers.md is made from the kept results, and these are of the present tables."""

import json

import pytest

from traintwice_reproduction.pages.tables import FOLDER, PAGE, page
from traintwice_reproduction.tables import ARTEFACTS
from traintwice_reproduction.tables.reproducing import studies
from traintwice_reproduction.tables.side_by_side import PaperTable

KEPT = sorted(FOLDER.glob("*.json"))


def test_the_page_is_made_from_what_is_kept():
    assert PAGE.read_text() == page()


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
