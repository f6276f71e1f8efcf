"""docs/findings.md says what docs/results/findings says, which is what the studies say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from traintwice.engine import train
from traintwice.presets import PRESETS

DOCS = Path(__file__).resolve().parent.parent / "docs"
sys.path.insert(0, str(DOCS))

from claims import CLAIMS, MARGIN, Claim  # noqa: E402
from findings import FOLDER, PAGE, five, key, outcome, page, verdict  # noqa: E402

STUDIES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def test_the_page_is_made_from_the_numbers():
    assert PAGE.read_text() == page(STUDIES)


def test_the_readme_says_five_of_them():
    assert f"<!-- findings:begin -->\n{five(STUDIES)}\n<!-- findings:end -->" in (DOCS.parent / "README.md").read_text()


@pytest.mark.parametrize("family", CLAIMS)
def test_every_claim_is_of_rows_that_the_studies_have(family):
    studies = [PRESETS[name]() for name in PRESETS if name.startswith(f"{family}-")]
    assert studies
    for claim in CLAIMS[family]:
        for study in studies:
            assert {claim.row, claim.reference} <= set(study.rows), claim


@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_has_a_number(name):
    family = next(f for f in CLAIMS if name.startswith(f"{f}-"))
    assert {key(claim) for claim in CLAIMS[family]} == set(STUDIES[name]["claims"])
    assert set(STUDIES[name]["rows"]) == set(PRESETS[name]().rows)


def test_a_replica_of_the_stored_numbers_trained_again_votes_the_same():
    stored, experiment = STUDIES["claims.ad-digits"], PRESETS["claims.ad-digits"]()
    data = experiment.data.load()
    assert data.digest == stored["data_digest"]
    trained = train(experiment.rows[experiment.baseline], data, seed=experiment.seed, replica=0)
    probs = np.exp(trained.outputs["test"].astype(np.float64))
    probs = (probs / probs.sum(-1, keepdims=True)).mean(axis=0)
    votes = "".join(map(str, probs.argmax(-1)))
    same = np.mean([a == b for a, b in zip(votes, stored["votes"][0], strict=True)])
    assert same >= 0.99  # other processors round otherwise


def found(value, low, high, settled):
    return {"difference": [value, low, high], "settled": settled, "reference": 0.1}


def claim(direction):
    return Claim("", "", "a", "b", "churn", direction)


def test_words_claim_no_more_than_the_intervals():
    lower, same, not_lower = claim("lower"), claim("same"), claim("not lower")
    assert outcome(lower, found(-0.02, -0.03, -0.01, True)) == "yes"
    assert outcome(lower, found(-0.02, -0.05, 0.01, False)) == "open"
    assert outcome(lower, found(0.02, 0.01, 0.03, True)) == "no"
    assert outcome(same, found(0.001, -0.005, 0.007, False)) == "yes"
    assert outcome(same, found(0.001, -2 * MARGIN, 0.007, False)) == "open"
    assert outcome(same, found(0.03, 0.02, 0.04, True)) == "no"
    assert outcome(not_lower, found(-0.02, -0.03, -0.01, True)) == "no"
    assert verdict(lower, ["yes", "yes"]) == "holds"
    assert verdict(lower, ["yes", "open"]) == "holds in part"
    assert verdict(lower, ["no", "open"]) == "does not hold here"
    assert verdict(lower, ["open"]) == "not settled"
    assert verdict(claim("open"), ["yes"]) == ""
