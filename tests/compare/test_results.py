from dataclasses import fields

import pytest

from traintwice.compare._results import LAUNCHES, RETRAINS, wording


def test_words_follow_what_the_floor_is_made_of():
    assert wording(None) is RETRAINS
    assert wording(None, launches=True) is LAUNCHES
    assert wording("outcomes").causes == "more than rerunning causes"
    assert wording("outcomes", launches=True).causes == LAUNCHES.causes
    assert [wording(o).lost for o in (None, "outcomes", "graded")] == [
        "of labelled rows right → wrong",
        "of scored items right → wrong",
        "of scored items have a lower score",
    ]


@pytest.mark.parametrize("outcomes", ["outcomes", "graded"])
@pytest.mark.parametrize("launches", [False, True])
def test_evaluations_and_launches_have_no_retrains_or_recipes(outcomes, launches):
    words = wording(outcomes, launches=launches)
    said = " ".join(getattr(words, f.name) for f in fields(words))
    assert not [word for word in ("retrain", "recipe", *(["rerun"] if launches else [])) if word in said]
