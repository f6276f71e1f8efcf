"""The kept results of docs/guides/clicks.md are of the present study."""

import json
import tomllib
from dataclasses import replace

from traintwice.presets import flights
from traintwice.study import Experiment
from traintwice_reproduction.kept import ROOT
from traintwice_reproduction.pages import clicks

PAGE = ROOT / "docs" / "guides" / "clicks.md"


def test_results_are_of_the_study_as_it_is_now():
    study = json.loads(clicks.RESULTS.read_text())
    assert Experiment.from_dict(study["experiment"]) == replace(flights(), replicas=clicks.REPLICAS), (
        "the study changed: python -m traintwice_reproduction refresh"
    )
    lines = study["tables"][0]
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ") and "---" not in line][1:] == list(
        flights().rows
    )


def test_the_study_to_copy_is_one():
    (toml,) = [part.partition("\n```")[0] for part in PAGE.read_text().split("```toml\n")[1:]]
    assert len(Experiment.from_dict(tomllib.loads(toml)).rows) == 3
