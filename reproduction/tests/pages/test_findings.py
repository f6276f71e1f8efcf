"""docs/findings.md is made from the kept results, and the results have every row and claim of the studies."""

from dataclasses import replace

import numpy as np
import pytest

from traintwice.data import Flights
from traintwice.engine import train
from traintwice.study import Store, gather, prepare
from traintwice.study.worker import train_into
from traintwice_reproduction.kept import README
from traintwice_reproduction.pages.claims import CLAIMS, MARGIN, Claim
from traintwice_reproduction.pages.findings import (
    NAMES,
    PAGE,
    experiment_of,
    family_of,
    five,
    in_words,
    kept_studies,
    key,
    outcome,
    page,
    stage_of,
    study_of,
    summary,
    verdict,
)
from traintwice_reproduction.pages.order import CONVOLUTIONAL, OF_CLICKS, STREAM, both, section, word
from traintwice_reproduction.pages.order import verdict as order_verdict

STUDIES = kept_studies()


def test_the_page_is_made_from_the_numbers():
    assert PAGE.read_text() == page(STUDIES)


def test_the_readme_has_five_of_them():
    assert f"<!-- findings:begin -->\n{five(STUDIES)}\n<!-- findings:end -->" in README.read_text()


@pytest.mark.parametrize("family", CLAIMS)
def test_every_claim_is_of_rows_that_the_studies_have(family):
    studies = [experiment_of(name) for name in NAMES if family_of(name) == family]
    assert studies
    for claim in CLAIMS[family]:
        for study in studies:
            assert {claim.row, claim.reference} <= set(study.rows), claim


@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_has_a_number(name):
    assert {key(claim) for claim in CLAIMS[family_of(name)]} == set(STUDIES[name]["claims"])
    assert set(STUDIES[name]["rows"]) == set(experiment_of(name).rows)
    assert STUDIES[name]["replicas"] == study_of(name).replicas


def test_a_replica_of_the_stored_numbers_trained_again_votes_the_same():
    stored, experiment = STUDIES["claims.ad-digits"], experiment_of("claims.ad-digits")
    data = experiment.data.load()
    assert data.digest == stored["data_digest"]
    trained = train(experiment.rows[experiment.baseline], data, seed=experiment.seed, replica=0)
    probs = np.exp(trained.outputs["test"].astype(np.float64))
    probs = (probs / probs.sum(-1, keepdims=True)).mean(axis=0)
    votes = "".join(map(str, probs.argmax(-1)))
    same = np.mean([a == b for a, b in zip(votes, stored["votes"][0], strict=True)])
    assert same >= 0.99  # other processors round otherwise


def found(value, low, high, significant):
    return {"difference": [value, low, high], "significant": significant, "reference": 0.1}


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
    assert outcome(not_lower, found(-0.002, -0.004, 0.001, False)) == "yes"
    assert outcome(not_lower, found(-0.002, -0.04, 0.03, False)) == "open"
    assert in_words(lower, {"digits": "yes", "fashion": "no", "mnist-5k": "open"}) == "holds in part; does not on fashion"
    assert in_words(lower, {"digits": "yes", "fashion": "open"}) == "holds in part"
    assert in_words(lower, {"digits": "no"}) == "does not hold here"
    assert verdict(lower, ["yes", "yes"]) == "holds"
    assert verdict(lower, ["yes", "open"]) == "holds in part"
    assert verdict(lower, ["no", "open"]) == "does not hold here"
    assert verdict(lower, ["open"]) == "inconclusive"
    assert verdict(claim("open"), ["yes"]) == ""


def test_studies_are_of_families_and_stages():
    assert {
        name: (family_of(name), stage_of(name)) for name in ("claims.ad-mnist-5k", "rivals-lenet", "rivals-flights", "flights")
    } == {
        "claims.ad-mnist-5k": ("claims.ad", "mnist-5k"),
        "rivals-lenet": ("rivals", "lenet"),
        "rivals-flights": ("rivals-flights", "flights"),
        "flights": ("flights", "flights"),
    }


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Three rows of the rivals on a few flights, as the page keeps them."""
    experiment = experiment_of("rivals-flights")
    rows = {name: experiment.rows[name] for name in ("plain", "rate decay", "ensemble of 3")}
    small = replace(experiment, data=Flights(rows=8000), rows=rows, replicas=3)
    data, store = small.data.load(), Store(tmp_path_factory.mktemp("store"))
    prepare(small, data, store)
    for recipe in rows.values():
        for replica in range(small.replicas):
            list(train_into(store, recipe, small.data, data, seed=small.seed, replicas=[replica]))
    return summary(gather(small, store, data), "rivals-flights", "2026-01-01")


def test_a_study_on_a_stream_is_kept_with_its_own_measures(clicks):
    assert clicks["command"] == "traintwice run rivals-flights --replicas 3"
    assert set(clicks["claims"]) == {
        f"{pair} | {metric}"
        for pair in ("rate decay | plain", "ensemble of 3 | plain")
        for metric in ("churn", "relative_pairwise (T)")
    }
    assert {"relative_pairwise", "log_loss"} <= set(clicks["rows"]["plain"])
    found = clicks["against_baseline"]["relative_pairwise"]["ensemble of 3"]
    apart = [clicks["rows"][row]["relative_pairwise"][0] for row in ("ensemble of 3", "plain")]
    assert found["difference"][0] == pytest.approx(apart[0] - apart[1], abs=1e-4)
    assert clicks["votes"] == []


def test_the_page_takes_whatever_studies_there_are(clicks):
    assert "clicks at equal cost" not in page({})
    text = page({**STUDIES, "rivals-flights": clicks})
    assert "## Least churn of clicks at equal cost" in text
    assert "| rate decay | 1x | 1x |" in text
    assert "| clicks, relative PD (T) |" in text
    assert "LeNet5, churn" not in page({"rivals-flights": clicks, "rivals-digits": STUDIES["rivals-digits"]})


def study_with(**changes):
    """A study in which some comparisons of rivals are significant."""
    claims = {f"{k.replace('_', ' ')} | plain | churn": found(v, v - 0.01, v + 0.01, v != 0) for k, v in changes.items()}
    return {"claims": claims}


def test_the_order_uses_significant_comparisons_only():
    first = {
        "rivals-digits": study_with(steady=-0.02, EMA=0.0, entropy=0.02),
        "rivals-mnist-5k": study_with(steady=0.0, EMA=0.0, entropy=0.0),
    }
    lines = section({**first, CONVOLUTIONAL: study_with(steady=-0.03, EMA=-0.03, entropy=0.0)}).splitlines()
    assert "| 1x/1x: steady | steady − plain | lower | lower |" in lines
    assert "| 1x/1x: EMA on top of decay | EMA − plain | inconclusive | lower |" in lines
    assert lines[-1] == "| LeNet5, churn | 2 | 1 | 0 | 1 | holds in part |"
    assert section(first) == section({CONVOLUTIONAL: study_with(steady=-0.03)}) == ""
    named_otherwise = {"claims": {"steady, last weights | plain | churn": found(0.02, 0.01, 0.03, True)}}
    assert "| clicks, churn | 1 | 0 | 1 | 0 | does not hold here |" in section({**first, STREAM: named_otherwise}).splitlines()


def test_words_of_the_order():
    assert both(["lower", "inconclusive"]) == "lower"
    assert both(["lower", "higher"]) == "both"
    assert both(["inconclusive", "–"]) == "inconclusive"
    assert both(["–"]) == "–"
    assert word(study_with(steady=0.02), "steady", "plain", "churn") == "higher"
    counts_of = [(4, 4, 0), (4, 2, 1), (4, 0, 1), (4, 0, 0), (0, 0, 0)]
    assert [order_verdict(*counts) for counts in counts_of] == [
        "holds",
        "holds in part",
        "does not hold here",
        "inconclusive",
        "no order to hold",
    ]


def test_every_comparison_on_clicks_is_a_claim():
    pictures = {(claim.row, claim.reference) for claim in CLAIMS["rivals"]}
    clicks_have = {(claim.row, claim.reference) for claim in CLAIMS["rivals-flights"]}
    assert set(OF_CLICKS) <= pictures
    assert set(OF_CLICKS.values()) <= clicks_have
