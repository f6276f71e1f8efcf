"""Words of the sentences about a comparison: what its noise floor is made of, and what its rows are."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Wording:
    """Words for the models of a noise floor, and for rows that got worse.

    Attributes:
        one, many: a model of the floor, and several.
        causes: the verdict on a change beyond the floor.
        noise: what the floor measures.
        none, unknown: the verdict without a floor, and why there is none.
        of_old, of_new: whose models they are.
        given: what the floor is conditional on.
        wanted: what to do about too few.
        alike: all changes are equal.
        useless: what more of them cannot do.
        basis: how the floor is formed.
        lost, regressed: negative flips as a share, and the title of their table.
    """

    one: str
    many: str
    causes: str
    noise: str
    none: str
    unknown: str
    of_old: str
    of_new: str
    given: str
    wanted: str
    alike: str
    useless: str
    basis: str
    lost: str = "of labelled rows right → wrong"
    regressed: str = "Rows right → wrong"

    def count(self, count: int) -> str:
        """A number of models of the floor.

        >>> RETRAINS.count(1), LAUNCHES.count(2)
        ('1 retrain', '2 launches')
        """
        return f"{count} {self.one if count == 1 else self.many}"


def _made_again(one: str, doing: str, maker: str) -> Wording:
    many = f"{one}s"
    return Wording(
        one=one,
        many=many,
        causes=f"more than {doing} causes",
        noise=f"the noise of {doing}",
        none=f"no {many} given",
        unknown=f"how much {doing} alone causes is not known without {many} of the old {maker} (--floor)",
        of_old=f" of the old {maker}",
        of_new=f" of the new {maker}",
        given=", given this old model",
        wanted="give {} or more",
        alike=f"all {many} differ from the old model on the same number of rows, as copies do",
        useless=f"more {many} of the old {maker} cannot resolve this, {many} of the new {maker}, or more rows, may",
        basis=f"the floors are for this old model: each {one} is compared with it",
    )


RETRAINS = _made_again("retrain", "retraining", "recipe")

REPLICAS = replace(RETRAINS, one="replica", many="replicas", given="")

LAUNCHES = Wording(
    one="launch",
    many="launches",
    causes="more than earlier launches changed",
    noise="earlier launches",
    none="no earlier launches",
    unknown="no earlier launch to compare it with",
    of_old="",
    of_new="",
    given="",
    wanted="{} or more are needed",
    alike="all launches changed the same share of rows, as copies do",
    useless="more launches cannot resolve this",
    basis="the floor is the mean of these launches",
)


def wording(outcomes: str | None, *, launches: bool = False) -> Wording:
    """The words of a comparison.

    Args:
        outcomes: as in `Diff`: items of an evaluation are rerun.
        launches: earlier launches of a ledger are the floor.
    """
    found = LAUNCHES if launches else RETRAINS if outcomes is None else _made_again("rerun", "rerunning", "model")
    if outcomes is None:
        return found
    if outcomes == "graded":
        return replace(found, lost="of scored items have a lower score", regressed="Items with a lower score")
    return replace(found, lost="of scored items right → wrong")
