"""The change of a launch against the changes of the launches before it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.compare._answers import floor_answer, operating_answer
from traintwice.compare._floor import TITLES, Pairs, noise_floor
from traintwice.compare._ledger import LAST, Launch, Ledger, kind_of, numbers_of, open_ledger
from traintwice.compare._parts import NoiseFloor
from traintwice.compare._results import LAUNCHES, Diff, Wording, wording
from traintwice.errors import BadInput
from traintwice.metrics._definition import Unit
from traintwice.types import Estimate


def opened_for(floor: Any, ledger: Any, last: int, other_rows: bool) -> Ledger | None:
    """The ledger of a comparison, opened; None without one; raise `BadInput` for options that contradict each other."""
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
    """The launches that are the floor of a comparison, oldest first, and sentences on them.

    These are the last launches of the same kind of predictions, on the same rows unless others are asked for. A pair of models
    counts once, the comparison at hand and identical models not at all.
    """
    pairs = {(launch.old.digest, launch.new.digest): launch for launch in ledger.launches}  # the last of each pair
    now = tuple(model.digest for model in ledger.models)
    left: Counter[str] = Counter()
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
            left[why] += 1
    chosen, name = chosen[-ledger.last :], ledger.path.name
    said = f"floor: {name} has no earlier launch to compare with"
    if chosen:
        days, many = f"{chosen[0].date[:10]} to {chosen[-1].date[:10]}", LAUNCHES.count(len(chosen))
        said = f"floor: what {many} of {name} changed from old to new ({days}), changes of recipes included"
    return chosen, [*ledger.notes, said, *(f"{name}: {LAUNCHES.count(count)} {why} left out" for why, count in left.items())]


def with_usual_changes(found: Diff, ledger: Ledger, margin: float) -> Diff:
    r"""A comparison with the changes of earlier launches as its floor.

        ratio = d_0 / mean_i d_i, with the interval of `noise_floor`; d_0 is the change of this launch, d_i that of an earlier one

    Given that nothing unusual happened, d_0 … d_k are draws of the change from one launch to the next. Rows of launches are taken to
    be independent: the example part of the variance is that of each share. Ours.
    """
    launches, notes = usual_changes(ledger, kind_of(found))
    words = wording(found.outcomes, launches=True)
    every = {name: _floor(name, e, launches, found, margin, words) for name, e in numbers_of(found).items()}
    floors = {name: floor for name, floor in every.items() if floor is not None}
    decisions = tuple(replace(d, floor=floors.get(f"decisions({d.threshold:g})")) for d in found.decisions)
    swap_sets = tuple(replace(s, floor=floors.get(f"swapped({s.asked:g})")) for s in found.swap_sets)
    by_name = {m.name: m for m in found.measures}
    name = {"regressions": "negative_flips", "disagreement": "regression_difference" if found.regression else "churn"}
    answers = []
    for answer in found.answers:
        if answer.question in name and answer.verdict not in ("identical", "no value"):
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


def _floor(name: str, now: Estimate, launches: Sequence[Launch], found: Diff, margin: float, words: Wording) -> NoiseFloor | None:
    """The floor of one measure; None where it has none, or where no launch has the measure."""
    if name not in TITLES and "(" not in name:
        return None
    past = [launch.numbers[name] for launch in launches if name in launch.numbers and math.isfinite(launch.numbers[name].value)]
    if not past or not math.isfinite(now.value):
        return None
    rows = float(found.alignment.labelled if name == "negative_flips" else found.alignment.rows)
    counts = np.array([e.value for e in (now, *past)]) * rows
    errors = np.array([e.standard_error for e in (now, *past)]) * rows
    unit: Unit = next((m.unit for m in found.measures if m.name == name), "fraction")
    title = TITLES.get(name, name.replace("decisions(", "decisions at ").replace("swapped(", "swapped of the top ").rstrip(")"))
    return noise_floor(
        Pairs(len(past), 0), counts, rows, lambda form: float(np.sum(form**2 * errors**2)), name=name, title=title, unit=unit,
        level=found.level, margin=margin, units=found.alignment.units, clustered=found.alignment.clusters is not None, words=words,
    )  # fmt: skip
