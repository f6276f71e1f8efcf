"""Open prediction files of any kind: recognise, check, and match them row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions.aligned import AlignedPredictions
from traintwice.predictions.canonical import View, make_view, types_of_ids
from traintwice.predictions.classes import declare, shared_class_names
from traintwice.predictions.contents import check_contents, count_rows, is_checked_while_matching
from traintwice.predictions.formats import expand
from traintwice.predictions.layout import Layout, Options, missing_column, recognise
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source, open_source
from traintwice.predictions.types_of_columns import family, with_types_from_cells


def open_predictions(
    paths: Any,
    *,
    id: str | Sequence[str] | None = None,
    probs: str | Sequence[str] | None = None,
    label: str | None = None,
    weight: str | None = None,
    by: str | Sequence[str] | None = None,
    time: str | None = None,
    classes: Sequence[str] | None = None,
    logits: bool = False,
    regression: bool = False,
    memory: int | str | None = None,
    on_missing: Literal["refuse", "drop"] = "refuse",
    by_position: bool = False,
) -> AlignedPredictions:
    r"""Predictions of several models on the same examples, from files or tables, matched by id.

    Every file is one replica. Files whose ids come in the same order, which is verified id by id, are read side by side;
    any other order is joined by DuckDB within the memory limit. Cells of several files are checked in the pass that matches
    the rows, when these are first needed.

    Args:
        paths: a path, glob, directory or table, or a list of them. Parquet, CSV, TSV, JSON lines, npz, npy, safetensors;
            pandas, Polars and Arrow tables; mappings from names to arrays. Nothing is unpickled.
        id: the column or columns that identify a row; one of the usual names (id, row_id …) is recognised.
        probs: the columns of the predictions, in the order of the classes; or one column with a list, a score in [0, 1] or
            a predicted label; or the prefix of name_0, name_1 … None recognises p_0 …, one list, one score, one label.
        label: the true label, an integer class or a name; y, label and target are recognised.
        weight, by, time: columns of weights, groups and time; any one file may hold them.
        classes: names of the classes in the order of the predictions' columns, where labels are names.
        logits: the predictions are logits; softmax (or the logistic function, for one column) is applied.
        regression: the predictions are numbers and no probabilities.
        memory: limit for DuckDB, such as "2GB"; None takes half of this machine's memory. Beyond it, it spills to disk.
        on_missing: what to do with ids that are missing from a file or stand in it twice.
        by_position: match row n with row n and compare no ids.

    Returns:
        `AlignedPredictions`: `batches` streams, `read` takes all into memory, `sums` computes in SQL, `summary` says
        what was found.
    Raises:
        BadInput: a file cannot be read, columns cannot be told (the message names the option to pass), rows do not match
            or a prediction is no probability (with counts and the first offending row).
    Example:
        >>> old = {"id": np.array([1, 2, 3]), "p": np.array([0.9, 0.2, 0.4]), "y": np.array([1, 0, 0])}
        >>> new = {"id": np.array([3, 1, 2]), "p": np.array([0.6, 0.8, 0.1])}
        >>> with open_predictions([old, new]) as both:
        ...     print(both.summary.describe().splitlines()[0], both.sums({"flips": "v0 <> v1"}))
        2 files · 3 rows · joined by id {'flips': 1.0}
    """
    options = Options(
        id=_names(id),
        probs=_names(probs),
        label=label,
        weight=weight,
        by=_names(by),
        time=time,
        classes=tuple(classes or ()),
        logits=logits,
        regression=regression,
        by_position=by_position,
    )
    if on_missing not in ("refuse", "drop"):
        raise BadInput(f"on_missing: got {on_missing!r}, expected 'refuse' or 'drop'")
    if by_position and options.id:
        raise BadInput("--id and --by-position exclude each other: rows are matched by id or by their position")
    if logits and regression:
        raise BadInput("--logits and --regression exclude each other: a regression has no classes")
    items = expand(paths)
    session = Session(memory)
    try:
        sources = [open_source(session, item, number) for number, item in enumerate(items)]
        sources = [with_types_from_cells(session, s) if s.untyped else s for s in sources]
        layouts = _agreed([recognise(source, options) for source in sources], sources)
        _refuse_absent(sources, layouts, options)
        names, sources = shared_class_names(session, sources, layouts)
        if names is not None:
            declare(session, names)
        id_types = types_of_ids(sources, layouts)
        views = [
            make_view(session, number, source, layout, id_types, names)
            for number, (source, layout) in enumerate(zip(sources, layouts, strict=True))
        ]
        _refuse_different_classes(views)
        views = [replace(v, layout=replace(v.layout, classes=v.classes)) if v.layout.kind == "list" else v for v in views]
        rows = [count_rows(session, view) for view in views]
        later = [view for view in views if len(views) > 1 and is_checked_while_matching(view)]
        for view in views:
            if view not in later:
                check_contents(session, view)
        return AlignedPredictions(
            session, views, rows, unchecked=later, groups=options.by, class_names=names, drop=on_missing == "drop"
        )
    except BaseException:
        session.close()
        raise


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _agreed(layouts: list[Layout], sources: Sequence[Source]) -> list[Layout]:
    """Layouts of one kind; a column of whole numbers in untyped text is a score where another file has scores."""
    if any(layout.kind in ("score", "list", "columns") for layout in layouts):
        layouts = [
            replace(layout, kind="score", classes=2)
            if layout.kind == "votes" and source.untyped and family(source.columns[layout.columns[0]]) == "integer"
            else layout
            for layout, source in zip(layouts, sources, strict=True)
        ]
    sort = {"columns": "probabilities", "list": "probabilities", "score": "probabilities", "votes": "predicted labels"}
    first = layouts[0]
    for layout, source in zip(layouts, sources, strict=True):
        if sort.get(layout.kind) != sort.get(first.kind):
            raise BadInput(
                f"{sources[0].name} holds {sort.get(first.kind, 'a regression')} ({first.describe()}) and {source.name} "
                f"{sort.get(layout.kind, 'a regression')} ({layout.describe()}); pass --probs with columns that "
                "hold the same in all"
            )
        if len(layout.id) != len(first.id):
            raise BadInput(f"{source.name}: {len(layout.id)} id columns against {len(first.id)} in {sources[0].name}; pass --id")
    return layouts


def _refuse_absent(sources: Sequence[Source], layouts: Sequence[Layout], options: Options) -> None:
    """A label, weight, group or time column may stand in one file only, but must stand in one."""
    asked = [("label", options.label), ("weight", options.weight), ("time", options.time), *[("by", c) for c in options.by]]
    for option, name in asked:
        if name is not None and not any(name in source.columns for source in sources):
            raise missing_column(sources[0], name, option)


def _refuse_different_classes(views: Sequence[View]) -> None:
    for view in views[1:]:
        if view.classes != views[0].classes:
            raise BadInput(
                f"{views[0].source.name} has {views[0].classes} classes ({views[0].layout.describe()}) and {view.source.name} "
                f"{view.classes} ({view.layout.describe()}); replicas must predict the same classes"
            )
