"""The change of a launch against the changes of the launches before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.compare._answers import floor_answer, operating_answer
from traintwice.compare._floor import Pairs, noise_floor
from traintwice.compare._ledger import LAST, Launch, Ledger, kind_of, numbers_of, open_ledger
from traintwice.compare._parts import NoiseFloor
from traintwice.compare._results import Diff, Wording, wording
from traintwice.errors import BadInput
from traintwice.types import Estimate


def opened_for(floor: Any, ledger: Any, last: int, other_rows: bool) -> Ledger | None:
    """The ledger of a comparison, opened; None without one.

    Raises:
        BadInput: ``floor="ledger"`` without a ledger or next to a file of that name, ``last`` or ``other_rows`` without it.
    """
    wanted = isinstance(floor, str) and floor == "ledger"
    if wanted and ledger is None:
        raise BadInput('floor="ledger" (--floor ledger) needs the file of the ledger: pass ledger=FILE (--ledger FILE)')
    if wanted and Path("ledger").exists():
        raise BadInput(
            "floor: there is a file or directory named ledger here; write ./ledger for it, or run in another directory"
        )
    if not wanted and not isinstance(ledger, Ledger) and (other_rows or last != LAST):
        raise BadInput('last, other_rows (--last, --other-rows): are for floor="ledger" (--floor ledger)')
    return ledger if ledger is None or isinstance(ledger, Ledger) else open_ledger(ledger, last=last, other_rows=other_rows)


def usual_changes(ledger: Ledger, predictions: str) -> tuple[list[Launch], list[str]]:
    """The launches that are the floor of the comparison at hand, oldest first, and sentences on them.

    These are the last ``ledger.last`` launches of the same kind of predictions on the same rows (the same set of ids), with
    ``other_rows`` on any rows. A pair of models counts once, the comparison at hand and identical models not at all.

    Args:
        ledger: opened, with the models and rows of the comparison.
        predictions: what kind these are; see `kind_of`.
    """
    pairs = {(launch.old.digest, launch.new.digest): launch for launch in ledger.launches}  # the last of each pair
    now = tuple(model.digest for model in ledger.models)
    left: dict[str, int] = {}
    chosen = []
    for launch in ledger.launches:
        pair = (launch.old.digest, launch.new.digest)
        why = None
        if launch.predictions != predictions:
            why = "of another kind of predictions"
        elif not ledger.other_rows and (launch.ids is None or launch.ids != ledger.ids):
            why = "on other rows (--other-rows takes them)"
        elif None not in pair and (pairs[pair] is not launch or pair == now):
            why = "of a pair of models that is compared again"
        elif pair[0] is not None and pair[0] == pair[1]:
            why = "of identical models"
        if why is None:
            chosen.append(launch)
        else:
            left[why] = left.get(why, 0) + 1
    chosen = chosen[-ledger.last :]
    notes = list(ledger.notes)
    name = ledger.path.name
    if chosen:
        days = f"{chosen[0].date[:10]} to {chosen[-1].date[:10]}"
        notes.append(
            f"floor: what {_launches(len(chosen))} of {name} changed from old to new ({days}), changes of recipes included"
        )
    else:
        notes.append(f"floor: {name} has no earlier launch to compare with")
    notes += [f"{name}: {_launches(count)} {why} left out" for why, count in left.items()]
    return chosen, notes


def with_usual_changes(found: Diff, ledger: Ledger, margin: float) -> Diff:
    r"""A comparison with the changes of earlier launches as its floor.

        ratio = d_0 / mean_i d_i, with the interval of `noise_floor`; d_0 is the change of this launch, d_i that of an earlier one

    Given that nothing unusual happened, d_0 … d_k are draws of the change from one launch to the next. Rows of launches are taken to
    be independent: the example part of the variance is that of each share. Ours.
    """
    launches, notes = usual_changes(ledger, kind_of(found))
    words = wording(found.outcomes, launches=True)
    of = numbers_of(found)
    floors = {name: floor for name, e in of.items() if (floor := _floor(name, e, launches, found, margin, words))}
    decisions = tuple(replace(d, floor=floors.get(f"decisions({d.threshold:g})")) for d in found.decisions)
    swap_sets = tuple(replace(s, floor=floors.get(f"swapped({s.asked:g})")) for s in found.swap_sets)
    by_name = {m.name: m for m in found.measures}
    answers = []
    for answer in found.answers:
        name = {"regressions": "negative_flips", "disagreement": "regression_difference" if found.regression else "churn"}
        if answer.question in ("regressions", "disagreement") and answer.verdict not in ("identical", "no value"):
            asked = name[answer.question]
            without = found.left_out.get(asked, "no value")
            answer = floor_answer(answer.question, floors.get(asked), by_name.get(asked), without, words)
        elif answer.question == "operating point":
            answer = operating_answer(decisions, swap_sets, words) or answer
        answers.append(answer)
    return replace(
        found,
        floors=tuple(floors[name] for name in ("churn", "regression_difference", "negative_flips") if name in floors),
        decisions=decisions,
        swap_sets=swap_sets,
        answers=tuple(answers),
        launches=len(launches),
        floor_notes=tuple(notes),
    )


TITLES = {"churn": "churn", "negative_flips": "negative flips", "regression_difference": "the regression difference"}


def _floor(name: str, now: Estimate, launches: Sequence[Launch], found: Diff, margin: float, words: Wording) -> NoiseFloor | None:
    """The floor of one measure; None where it has none, or where no launch has the measure."""
    if name not in TITLES and "(" not in name:
        return None
    past = [launch.numbers[name] for launch in launches if name in launch.numbers]
    past = [e for e in past if math.isfinite(e.value)]
    if not past or not math.isfinite(now.value):
        return None
    rows = float(found.alignment.labelled if name == "negative_flips" else found.alignment.rows)
    counts = np.array([e.value for e in (now, *past)]) * rows
    errors = np.array([e.standard_error for e in (now, *past)]) * rows
    variance: Callable[[np.ndarray], float] = lambda form: float(np.sum(form**2 * errors**2))  # noqa: E731
    title = TITLES.get(name, name.replace("decisions(", "decisions at ").replace("swapped(", "swapped of the top ").rstrip(")"))
    return noise_floor(
        Pairs(len(past), 0), counts, rows, variance, name=name, title=title, unit=_unit(name, found), level=found.level, margin=margin,
        units=found.alignment.units, clustered=found.alignment.clusters is not None, words=words,
    )  # fmt: skip


def _unit(name: str, found: Diff) -> Any:
    return next((m.unit for m in found.measures if m.name == name), "fraction")


def _launches(count: int) -> str:
    return f"{count:,} launch{'' if count == 1 else 'es'}"
