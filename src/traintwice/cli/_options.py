"""Options that several verbs share: of reading, of several files after one name (``--floor a.csv b.csv``), of output and of training."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from traintwice.errors import BadInput, MissingExtra, require_charts
from traintwice.predictions._reading import OPTIONS, PANEL, Reading

in_output = partial(typer.Option, rich_help_panel="Output")
in_noise = partial(typer.Option, rich_help_panel="Noise of retraining")
in_more = partial(typer.Option, rich_help_panel="More answers and measures")
in_columns = partial(typer.Option, rich_help_panel=PANEL)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        share = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", text)
        told = f"got {text!r}, expected a number{f'; {share[0]} is {float(share[1]) / 100:g}' if share else ''}"
        raise typer.BadParameter(told) from None


Floor = Annotated[
    list[str] | None,
    in_noise(
        "--floor",
        metavar="FILES",
        help="Predictions of retrains of the old recipe, four or more: files, globs, directories. ledger: earlier launches of --ledger.",
    ),
]
NewFloor = Annotated[
    list[str] | None,
    in_noise("--new-floor", metavar="FILES", help="Predictions of retrains of the new recipe."),
]
Ledger = Annotated[
    Path | None,
    in_output("--ledger", metavar="FILE", help="Append the result as one line; see `traintwice history`."),
]
Last = Annotated[
    int | None,
    in_noise("--last", min=1, metavar="N", help="With --floor ledger: at most so many launches, 30 by default."),
]
OtherRows = Annotated[
    bool,
    in_noise("--other-rows", help="With --floor ledger: also launches on other rows, of the same traffic."),
]
Margin = Annotated[
    float | None,
    in_noise(metavar="RATIO", help='"Within noise" means below this multiple of the noise floor; 1.5 by default.'),
]
Threshold = Annotated[
    list[float] | None,
    in_more(
        "--threshold",
        parser=_number,
        metavar="NUMBER",
        help="Compare the decisions of binary models, score >= NUMBER; repeat for more.",
    ),
]
TopK = Annotated[
    list[float] | None,
    in_more(
        "--top-k", parser=_number, metavar="K", help="Compare the K rows (or share of rows) of highest score; repeat for more."
    ),
]

Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="MEASURE",
        help="A further measure, such as fleiss_kappa or hellinger, or all; repeat, or separate by commas.",
    ),
]
SumsFiles = Annotated[
    list[str] | None,
    in_more(
        "--sums",
        metavar="FILES",
        help="In place of OLD and NEW: results of the query that `traintwice sums` prints; several are added up.",
    ),
]
On = Annotated[
    Literal["database", "spark"] | None,
    in_more("--on", help="Make the sums where the tables are, in their PostgreSQL database or on Spark; no row comes here."),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, loop (one replica at a time), stacked (many MLPs at once) or vectorised (many replicas of any network at once).",
    ),
]
DeviceName = Annotated[str, typer.Option("--device", help="cpu, or cuda for a GPU (deterministic kernels).")]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="float32, float64, tf32 (products on a GPU) or bf16 (mixed precision).")
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Worker processes of one thread each; by default one for each core.")]
Store = Annotated[Path, typer.Option(help="Directory of trained replicas.")]
Level = Annotated[float, typer.Option(help="Nominal coverage of the intervals.")]
Json = Annotated[bool, in_output("--json", help="Print JSON instead.")]
PlainJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
ResultsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")]
Markdown = Annotated[bool, in_output("--markdown", help="Print Markdown instead, for a job summary.")]
Short = Annotated[
    bool,
    in_output("--short", help="With --markdown: under 20 lines, for a comment in a pull request."),
]
Served = Annotated[
    Path | None,
    typer.Option("--against", metavar="FILE", help="Predictions of the model in service: compare every recipe with it."),
]
ServedId = Annotated[str | None, typer.Option("--against-id", metavar="COLUMN", help="Column of ids of that file.")]
Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Send measures and report to mlflow, wandb or tensorboard, or NAME=PLACE."),
]
DEFAULT_STORE = Path("traintwice-runs")
DEFAULT_REPORT = Path("traintwice-report")

PageFolder = Annotated[Path | None, typer.Option("--report", help=f"Directory for the report; by default {DEFAULT_REPORT}.")]

Trust = Annotated[bool, typer.Option("--trust", help="Import the functions that the study names; this runs their code.")]
Quiet = Annotated[bool, in_output("--quiet", "-q", help="Print no progress.")]
NoRows = Annotated[bool, in_output("--no-rows", help="Leave ids and single rows out of all output.")]
ReportFile = Annotated[Path | None, in_output("--report", metavar="FILE.html", help="Write an HTML page.")]


NOTHING_SAID: Reading = {}


def reads_files(*, without: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the argument ``reading`` of a verb by the options of `Reading` that have an effect; the verb gets the explicit ones.

    Options that the verb has itself are kept, and options `of_rows` are left to the verbs that list rows.
    """
    return lambda verb: _with_reading(verb, without)


def _with_reading(verb: Callable[..., None], without: Sequence[str]) -> Callable[..., None]:
    hints = get_type_hints(verb, include_extras=True)
    own = inspect.signature(verb).parameters
    added = [name for name, option in OPTIONS.items() if name not in own and name not in without and not option.of_rows]
    parameters: list[inspect.Parameter] = []
    for parameter in own.values():
        if parameter.name != "reading":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name in added:
            default = False if OPTIONS[name].kind is bool else None
            parameters.append(inspect.Parameter(name, parameter.kind, default=default, annotation=_annotation(name)))

    @wraps(verb)
    def with_options(**given: Any) -> None:
        verb(
            **{name: value for name, value in given.items() if name not in added}, reading=explicit({n: given[n] for n in added})
        )

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def explicit(given: Mapping[str, Any]) -> dict[str, Any]:
    """The explicit options, with values at commas split.

    >>> explicit({"id": ["a", "b"], "probs": ["p,q"], "label": None, "logits": False})
    {'id': ['a', 'b'], 'probs': ['p', 'q']}
    """
    return without_unsaid({name: split(value) if OPTIONS[name].commas else value for name, value in given.items()})


def split(words: list[str] | None) -> list[str] | None:
    """Values given by repeating an option, by commas, or both.

    >>> split(["a,b", "c"]), split(None)
    (['a', 'b', 'c'], None)
    """
    return [part for word in words for part in word.split(",")] if words else None


def without_unsaid(given: dict[str, Any]) -> dict[str, Any]:
    """The explicit options only."""
    return {name: value for name, value in given.items() if value is not None and value is not False and value != []}


def _annotation(name: str) -> Any:
    """A parameter of typer for an option of `Reading`."""
    option = OPTIONS[name]
    flags = [f"--{name.replace('_', '-')}"]
    made = typer.Option(*flags, metavar=option.metavar, help=option.help, rich_help_panel=option.panel)
    return Annotated[option.kind if option.kind is bool else option.kind | None, made]


def page_folder(report: Path | None, *, no_report: bool) -> Path | None:
    """The directory for the report of a training; None, with a note, where charts cannot be drawn and no directory was named."""
    if no_report:
        return None
    try:
        require_charts("the report")
    except MissingExtra as missing:
        if report is not None:
            raise
        typer.echo(f"traintwice: no report is written: {missing}", err=True)
        return None
    return report or DEFAULT_REPORT


def further(words: list[str] | None, *, one_pass: bool = False) -> list[str]:
    """Names of measures; ``all`` means every measure, or every one-pass measure.

    >>> further(["hellinger,fleiss_kappa"]), len(further(["all"])) > 40
    (['hellinger', 'fleiss_kappa'], True)
    """
    wanted = split(words) or []
    if "all" not in wanted:
        return wanted
    from traintwice.metrics import ALL

    return [m.__name__ for m in ALL if m.definition.one_pass or not one_pass]


SEVERAL = ("--floor", "--new-floor", "--pilot", "--against", "--self-test", "--sums")
"""Options that take several files."""


class Verb(TyperCommand):
    """A verb with one form of output, and with options such as ``--floor a.csv b.csv c.csv``.

    Such an option takes all words up to the next option. If the arguments of the verb are then missing, they are the last of these words:
    ``--floor 'again*.csv' old.csv new.csv``.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for option in self.params:
            if isinstance(option, TyperOption) and option.is_flag:
                option.metavar = ""  # a flag has no value to show in --help

    def invoke(self, ctx: Any) -> Any:
        """Refuse two forms of standard output, and ``--short`` without ``--markdown``."""
        if ctx.params.get("json") and ctx.params.get("markdown"):
            raise BadInput("--json and --markdown exclude each other: standard output has one form")
        if ctx.params.get("short") and not ctx.params["markdown"]:
            raise BadInput("--short: is for --markdown; pass --markdown --short")
        return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of the option before each of its values, as Click expects; refuse two values where one is taken."""
        takes_value = {name for p in self.params if isinstance(p, TyperOption) and not p.is_flag for name in p.opts}
        needed = sum(abs(p.nargs) for p in self.params if isinstance(p, TyperArgument))  # files: at least one
        if "--self-test" in args or "--sums" in args:
            needed = 0
        args = spread(args, SEVERAL, takes_value, needed)
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(p for p in given if isinstance(p, TyperOption) and not (p.multiple or p.is_flag)).items():
            if times > 1:
                raise BadInput(f"{option.opts[0]}: got {times} values, expected one; pass the option once")
        return super().parse_args(ctx, args)


def spread(args: Sequence[str], several: Sequence[str], takes_value: set[str], needed: int) -> list[str]:
    """Arguments in which each value of the options in ``several`` has the name of its option before it.

    >>> spread(["a", "b", "--floor", "c", "d", "--id", "i"], ["--floor"], {"--floor", "--id"}, 2)
    ['a', 'b', '--floor', 'c', '--floor', 'd', '--id', 'i']
    >>> spread(["--floor", "c*", "a", "b"], ["--floor"], {"--floor"}, 2)
    ['--floor', 'c*', 'a', 'b']
    """
    words = list(_owners(args, several, takes_value))
    lacking = needed - sum(owner is None for owner, _ in words)
    movable = [at for at, (owner, _) in enumerate(words) if owner is not None and owner in several]
    for at in reversed(movable):
        owner, word = words[at]
        if lacking <= 0 or sum(other == owner for other, _ in words) < 2:
            break
        words[at] = (None, word)
        lacking -= 1
    return [part for owner, word in words for part in ((owner, word) if owner and owner in several else (word,))]


def _owners(args: Sequence[str], several: Sequence[str], takes_value: set[str]) -> Iterator[tuple[str | None, str]]:
    """Each word with the option that takes it: None for a plain argument, "" for a word that Click reads unchanged."""
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
