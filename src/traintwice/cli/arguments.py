"""Options that take several files after one name, so that a glob may be expanded by the shell or quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

SEVERAL = ("--floor", "--new-floor", "--pilot", "--against", "--self-test")
"""Options that take several files."""


class Files(TyperCommand):
    """A verb with options such as ``--floor a.csv b.csv c.csv``.

    Such an option takes every word up to the next option. Words that the verb's own arguments still lack are given back from the
    end, so that ``--floor 'again*.csv' old.csv new.csv`` reads as it looks.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option's name before each of its values, as Click wants it."""
        takes_value = {name for p in self.params if isinstance(p, TyperOption) and not p.is_flag for name in p.opts}
        needed = sum(abs(p.nargs) for p in self.params if isinstance(p, TyperArgument))  # files: at least one
        if "--self-test" in args:
            needed = 0
        return super().parse_args(ctx, spread(args, SEVERAL, takes_value, needed))


def spread(args: Sequence[str], several: Sequence[str], takes_value: set[str], needed: int) -> list[str]:
    """Arguments with each value of the options in ``several`` under its own name.

    >>> spread(["a", "b", "--floor", "c", "d", "--id", "i"], ["--floor"], {"--floor", "--id"}, 2)
    ['a', 'b', '--floor', 'c', '--floor', 'd', '--id', 'i']
    >>> spread(["--floor", "c*", "a", "b"], ["--floor"], {"--floor"}, 2)
    ['--floor', 'c*', 'a', 'b']
    """
    words = list(_owners(args, several, takes_value))
    lacking = needed - sum(owner is None for owner, _ in words)
    given_back = [at for at, (owner, _) in enumerate(words) if owner is not None and owner in several]
    for at in reversed(given_back):
        owner, word = words[at]
        if lacking <= 0 or sum(other == owner for other, _ in words) < 2:
            break
        words[at] = (None, word)
        lacking -= 1
    return [part for owner, word in words for part in ((owner, word) if owner and owner in several else (word,))]


def _owners(args: Sequence[str], several: Sequence[str], takes_value: set[str]) -> Iterator[tuple[str | None, str]]:
    """Each word with the option that takes it: None for a plain argument, "" for an option that Click reads as it stands."""
    owner: str | None = None
    for at, word in enumerate(args):
        if word == "--":
            yield from [("", word), *[(None, rest) for rest in args[at + 1 :]]]
            return
        if word.startswith("-") and word != "-":
            followed = at + 1 < len(args) and not args[at + 1].startswith("-")
            owner = word if word in several and followed else ("" if word in takes_value else None)
            if owner not in several:
                yield "", word
        else:
            yield owner, word
            owner = owner if owner in several else None
