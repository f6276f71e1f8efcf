"""docs/evidence/findings.md is made from the kept results, and the results have every row and claim of the studies."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from traintwice.data import Flights
from traintwice.engine import train
from traintwice.losses import Entropy, Outputs, PeerCrossEntropy
from traintwice.methods import entropy_regulariser
from traintwice.schedules import Jump, Ramp
from traintwice.study import Store, gather, prepare
from traintwice.study._worker import train_into
from traintwice_reproduction.pages.claims import (
    CLAIMS,
    CONTRADICTIONS,
    NOT_RUN,
    UNTESTED,
    Claim,
    is_near,
    margin,
    outcome,
    verdict,
)
from traintwice_reproduction.pages.comparing import (
    NAMES,
    confidence,
    experiment_of,
    family_of,
    kept_studies,
    stage_of,
    study_of,
    summary,
)
from traintwice_reproduction.pages.findings import NEAR_MARK, is_old, page
from traintwice_reproduction.pages.order import CONVOLUTIONAL, OF_CLICKS, STREAM, both, section, word
from traintwice_reproduction.pages.order import verdict as order_verdict
from traintwice_reproduction.studies.choices import CHOICES
from traintwice_reproduction.studies.chosen import record_of
from traintwice_reproduction.tables import printed

STUDIES = kept_studies()
TEXT = page(STUDIES)


@pytest.mark.parametrize("family", CLAIMS)
def test_every_claim_is_of_rows_that_the_studies_have(family):
    studies = [experiment_of(name) for name in NAMES if family_of(name) == family]
    assert studies
    for claim in CLAIMS[family]:
        for study in studies:
            assert {claim.row, claim.reference} <= set(study.rows), claim


@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_has_a_number_or_is_not_run_for_this_version(name):
    claims, rows = {claim.key for claim in CLAIMS[family_of(name)]}, set(experiment_of(name).rows)
    kept = STUDIES[name]
    assert set(kept["rows"]) <= rows
    assert is_old(name, kept) == (not (claims <= set(kept["claims"]) and rows <= set(kept["rows"])))
    assert kept["replicas"] == study_of(name).replicas


def test_what_a_kept_run_lacks_is_said():
    name, study = next(iter(STUDIES.items()))
    first = CLAIMS[family_of(name)][0]
    without = {**study, "claims": {k: v for k, v in study["claims"].items() if k != first.key}}
    text = page({name: without})
    (line,) = [line for line in text.splitlines() if f"| {first.text} |" in line and f"{first.row} − {first.reference} |" in line]
    assert line.endswith(f"| – | {NOT_RUN} |")
    assert f"The study has changed since the runs on {stage_of(name)}: what they lack is {NOT_RUN}." in text


def test_results_name_the_processor():
    text = page({name: {**study, "processors": ["EPYC"]} for name, study in STUDIES.items()})
    assert text.count(", EPYC") == len(STUDIES)
    assert "The last digits of a training depend on the processor" in " ".join(text.split())


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


def found(value, low, high, significant, reference=0.1, p=0.001):
    return {"difference": [value, low, high], "significant": significant, "reference": reference, "p_holm": p}


def claim(direction, metric="churn"):
    return Claim("", "", "a", "b", metric, direction)


def test_words_claim_no_more_than_the_intervals():
    lower, not_lower = claim("lower"), claim("not lower")
    assert outcome(lower, found(-0.02, -0.03, -0.01, True)) == "yes"
    assert outcome(lower, found(-0.02, -0.05, 0.01, False)) == "open"
    assert outcome(lower, found(0.02, 0.01, 0.03, True)) == "no"
    assert outcome(not_lower, found(-0.02, -0.03, -0.01, True)) == "no"
    assert outcome(not_lower, found(-0.002, -0.004, 0.001, False)) == "yes"
    assert outcome(not_lower, found(-0.002, -0.04, 0.03, False)) == "open"


def test_the_same_is_relative_to_the_reference_and_never_significant():
    same = claim("same")
    assert outcome(same, found(0.001, -0.005, 0.007, False)) == "yes"  # a tenth of 0.1 is 0.01
    assert outcome(same, found(0.001, -0.005, 0.007, False, reference=0.03)) == "open"
    assert outcome(same, found(0.001, -0.02, 0.007, False)) == "open"
    assert outcome(same, found(0.005, 0.002, 0.008, True)) == "no"
    assert outcome(same, found(0.03, 0.02, 0.04, True)) == "no"
    assert margin("accuracy", 0.95) == pytest.approx(0.005)
    assert outcome(claim("same", "accuracy"), found(0.001, -0.008, 0.009, False, reference=0.95)) == "open"


def test_in_part_is_not_said_where_as_many_data_sets_have_the_opposite():
    lower = claim("lower")
    assert verdict(lower, {"a": "yes", "b": "yes"}) == "holds"
    assert verdict(lower, {"a": "yes", "b": "open"}) == "holds in part"
    assert verdict(lower, {"a": "yes", "b": "yes", "c": "no"}) == "holds in part; contradicted on c"
    assert verdict(lower, {"digits": "no", "fashion": "yes", "mnist-5k": "no"}) == "contradicted on 2 of 3; holds on fashion"
    assert verdict(lower, {"a": "yes", "b": "no", "c": "open"}) == "contradicted on 1 of 3; holds on a"
    assert verdict(lower, {"a": "no", "b": "open"}) == "contradicted on 1 of 2"
    assert verdict(lower, {"a": "open"}) == "inconclusive"
    assert verdict(lower, {}) == NOT_RUN
    assert verdict(claim("open"), {"a": "yes"}) == ""


def test_the_page_says_in_part_only_of_a_majority():
    """Δ₁ of anti-distillation is significantly higher on digits and MNIST-5k and lower on Fashion-MNIST."""
    (line,) = [line for line in TEXT.splitlines() if "anti-distillation lowers Δ₁ of an ensemble of two" in line]
    assert line.endswith("| contradicted on 2 of 3; holds on fashion |")


@pytest.mark.parametrize("name", CHOICES)
def test_the_page_has_the_record_of_every_choice(name):
    """Of AD's rivals, and of `steady` for every network."""
    lines = [line for line in TEXT.splitlines() if line.startswith(f"| {name} |")]
    record = record_of(name)
    if record is None:
        assert lines == [f"| {name} | – | {NOT_RUN} | – |"]
        return
    assert {line.split(" | ")[1]: line.split(" | ")[3].removesuffix(" |") for line in lines} == {
        setting: f"{value:g}" for setting, value in record["chosen"].items()
    }


def test_multiplicity_over_data_sets_is_stated():
    assert "p-values are not adjusted over data sets" in " ".join(TEXT.split())


def test_cells_near_the_line_are_marked():
    near = [k for s in STUDIES.values() for k, f in s["claims"].items() if 0.005 <= f["p_holm"] <= 0.5]
    assert len(near) > 50
    assert not is_near(found(0, 0, 0, True, p=0.004))
    assert is_near(found(0, 0, 0, True, p=0.04))
    assert is_near(found(0, 0, 0, False, p=0.06))
    assert not is_near(found(0, 0, 0, False, p=0.6))
    name, study = "claims.churn-digits", STUDIES["claims.churn-digits"]
    (line,) = [
        line
        for line in page({name: study}).splitlines()
        if "| co-distillation with the entropy" in line or "beats distillation" in line
    ]
    p = study["claims"]["co-distillation SKL, β = 1 | distillation of 2 | churn"]["p_holm"]
    assert (NEAR_MARK in line) == (0.005 <= p <= 0.5)


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_contradictions_quote_printed_numbers(text):
    tables = " ".join(str(value) for name, value in vars(printed).items() if name.startswith(("AD_TABLE", "CH_TABLE")))
    quoted = re.findall(r"(?<![\w.])\d*\.\d+", text.partition(":")[2].replace("Table 2.", ""))
    assert all(number in tables for number in quoted)


def test_contradictions_between_the_methods_of_table_2():
    keys = ("train", "accuracy", "churn", "surrogate_churn", "correct", "incorrect")
    tables = {data: printed.read(text, keys) for data, text in printed.CH_TABLE_2.items()}

    def value(data, row, key):
        return float(tables[data][row][key].split()[0])

    for data in list(tables)[:3]:
        assert value(data, "2-ensemble distillation", "correct") < value(data, "Co-distill SKL", "correct")
    cifar, _, imagenet, _, svhn = tables
    assert value(cifar, "Co-distill CE", "correct") > value(cifar, "Baseline", "correct")
    for data in (imagenet, svhn):
        assert value(data, "Co-distill CE", "surrogate_churn") < value(data, "Co-distill SKL", "surrogate_churn")
    assert value(cifar, "SKL", "churn") > value(cifar, "Baseline", "churn")
    assert not any("Table 6" in text for text in CONTRADICTIONS)


def test_what_could_not_be_tested_lists_only_that():
    assert all(source.startswith(("AD ", "CH ")) for source, _, _ in UNTESTED)
    assert all(re.search("GPU|private data", how) for _, _, how in UNTESTED)


def test_co_distillation_with_ce_is_the_papers():
    """Stale peers and a step as the ramp; the comparison of appendix C is (17) against (9), both with a linear ramp."""
    study = experiment_of("claims.churn-digits")
    data = study.data.load()
    coupling = {row: recipe.method.terms[-1] for row, recipe in study.rows.items() if row.startswith("co-distillation CE")}
    lags = {row: term.loss.lag_steps for row, term in coupling.items() if isinstance(term.loss, PeerCrossEntropy)}
    epoch = study.rows["baseline"].steps_per_epoch(len(data.train))
    assert lags == {
        "co-distillation CE": epoch,
        "co-distillation CE, linear ramp": epoch,
        "co-distillation CE, live peers, linear ramp": 0,
    }
    assert isinstance(coupling["co-distillation CE"].weight, Jump)
    assert all(isinstance(term.weight, Ramp) for row, term in coupling.items() if row != "co-distillation CE")
    (appendix_c,) = [c for c in CLAIMS["claims.churn"] if "joint updates of (9)" in c.text]
    assert (appendix_c.row, appendix_c.reference) == ("co-distillation SKL, β = 1", "co-distillation CE, linear ramp")


def test_figure_1_is_tested_in_the_top_k_form():
    rows = {
        c.row for c in CLAIMS["claims.churn"] if c.source == "CH Fig. 1" and "entropy" in c.row and "distillation" not in c.row
    }
    assert rows == {"entropy, top 3"}
    assert experiment_of("claims.churn-digits").rows["entropy, top 3"].method == entropy_regulariser(0.1, top_k=3)
    text = TEXT
    assert "the entropy goes from 0.617 (0.59 to 0.65) to 0.677 (0.64 to 0.71)" in text
    assert "all classes the entropy is 0.494 (0.46 to 0.53), with the partial sum 0.744 (0.70 to 0.79)" in text


def test_forms_of_the_entropy_differ_outside_the_k_largest():
    """The gradients that docs/evidence/findings.md states."""
    logits = torch.tensor([2.0, 1.0, 0.3, -0.5, -1.2], dtype=torch.float64)
    f = logits.softmax(-1)

    def gradient(loss):
        z = logits.clone().reshape(1, 1, 5).requires_grad_()
        loss(Outputs(z, torch.zeros(1, dtype=torch.int64))).sum().backward()
        return z.grad.reshape(5)

    whole, largest, outside = -(f * f.log()).sum(), f[:3], f[3:]
    torch.testing.assert_close(gradient(Entropy())[3:], -outside * (outside.log() + whole))
    torch.testing.assert_close(gradient(Entropy(top_k=3))[3:], torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    partial = gradient(Entropy(top_k=3, renormalise=False))[3:]
    torch.testing.assert_close(partial, outside * (largest * (1 + largest.log())).sum())


def test_confidence_is_the_largest_probability_minus_the_second():
    probs = np.array([[[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], [[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]]])
    assert confidence(probs) == pytest.approx(np.mean([0.5, 0.1, 0.0, 0.8]))


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


def test_rows_that_are_copies_are_named(clicks):
    assert clicks["flagged"] == {}
    text = page({"rivals-flights": {**clicks, "flagged": {"plain": "its 3 replicas are 1 distinct model, bit for bit"}}})
    assert "; plain: its 3 replicas are 1 distinct model, bit for bit" in text


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
    assert (
        "| clicks, churn | 1 | 0 | 1 | 0 | contradicted on 1 of 1 |" in section({**first, STREAM: named_otherwise}).splitlines()
    )


def test_words_of_the_order():
    assert both(["lower", "inconclusive"]) == "lower"
    assert both(["lower", "higher"]) == "both"
    assert both(["inconclusive", "–"]) == "inconclusive"
    assert both(["–"]) == "–"
    assert word(study_with(steady=0.02), "steady", "plain", "churn") == "higher"
    counts_of = [(4, 4, 0), (4, 2, 1), (4, 1, 1), (4, 0, 1), (4, 0, 0), (0, 0, 0)]
    assert [order_verdict(*counts) for counts in counts_of] == [
        "holds",
        "holds in part",
        "contradicted on 1 of 4",
        "contradicted on 1 of 4",
        "inconclusive",
        "no order to hold",
    ]


def test_every_comparison_on_clicks_is_a_claim():
    pictures = {(claim.row, claim.reference) for claim in CLAIMS["rivals"]}
    clicks_have = {(claim.row, claim.reference) for claim in CLAIMS["rivals-flights"]}
    assert set(OF_CLICKS) <= pictures
    assert set(OF_CLICKS.values()) <= clicks_have
