"""Open prediction files of any kind: recognise, check, and match them row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from traintwice.errors import BadInput
from traintwice.predictions.aligned import AlignedPredictions
from traintwice.predictions.canonical import length_of_first, make_view, types_of_clusters, types_of_ids
from traintwice.predictions.classes import agreed_classes, declare
from traintwice.predictions.contents import check_contents, count_rows, is_checked_while_matching
from traintwice.predictions.formats import expand
from traintwice.predictions.layout import Layout, listed, missing_column, recognise
from traintwice.predictions.reading import Reading, reading_of
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source, open_source
from traintwice.predictions.types_of_columns import family, with_types_from_cells


def open_predictions(paths: Any, **reading: Unpack[Reading]) -> AlignedPredictions:
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
        weight: a column of weights.
        by: columns of groups. time: a column of time, the last group.
        cluster: the columns that name the cluster of a row (a user, say): rows of one cluster are not independent.
        classes: names of the classes in the order of the predictions' columns, where labels are names.
        positive: name of the positive class of a binary model, which becomes class 1.
        logits: the predictions are logits; softmax (or the logistic function, for one column) is applied.
        regression: the predictions are numbers and not probabilities.
        memory: limit for DuckDB, such as "2GB"; None takes half of this machine's memory. Beyond it, it spills to disk.
        on_missing: what to do with ids that are missing from a file or are in it twice.
        by_position: match row n with row n and compare no ids.

    Label, weight, groups, clusters and time may be in any one file.

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
    wanted = reading_of(reading)
    items = expand(paths)
    session = Session(wanted["memory"])
    try:
        sources = [open_source(session, item, number) for number, item in enumerate(items)]
        sources = [with_types_from_cells(session, s) if s.untyped else s for s in sources]
        layouts = _agreed([recognise(source, wanted) for source in sources], sources)
        _refuse_absent(sources, layouts, wanted)
        layouts = [
            replace(layout, classes=length_of_first(session, source, layout))
            if layout.kind == "list" and layout.classes is None
            else layout
            for source, layout in zip(sources, layouts, strict=True)
        ]
        _refuse_different_classes(sources, layouts)
        named, sources, layouts = agreed_classes(session, sources, layouts, wanted)
        names = named.names
        if names is not None:
            declare(session, names)
        cluster_types = types_of_clusters(sources, layouts)
        id_types = types_of_ids(sources, layouts)
        views = [
            make_view(session, number, source, layout, id_types, cluster_types, names)
            for number, (source, layout) in enumerate(zip(sources, layouts, strict=True))
        ]
        rows = [count_rows(session, view) for view in views]
        later = [view for view in views if len(views) > 1 and is_checked_while_matching(view)]
        for view in views:
            if view not in later:
                check_contents(session, view)
        groups = (*wanted["by"], wanted["time"]) if wanted["time"] is not None else wanted["by"]
        return AlignedPredictions(
            session, views, rows, unchecked=later, groups=groups, named=named, drop=wanted["on_missing"] == "drop"
        )
    except BaseException:
        session.close()
        raise


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


def _refuse_absent(sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading) -> None:
    """A label, weight, group, cluster or time column may be in one file only, but must be in one."""
    asked = [(option, reading[option]) for option in ("label", "weight", "time")]
    asked += [(option, column) for option in ("by", "cluster") for column in reading[option]]
    for option, name in asked:
        if name is not None and not any(name in source.columns for source in sources):
            raise missing_column(sources[0], name, option)
    if reading["cluster"] and not any(layout.cluster for layout in layouts):
        raise BadInput(f"--cluster: no file has all of the columns {listed(reading['cluster'])}; expected them in one file")


def _refuse_different_classes(sources: Sequence[Source], layouts: Sequence[Layout]) -> None:
    for source, layout in zip(sources[1:], layouts[1:], strict=True):
        if layout.classes != layouts[0].classes:
            raise BadInput(
                f"{sources[0].name} has {layouts[0].classes} classes ({layouts[0].describe()}) and {source.name} "
                f"{layout.classes} ({layout.describe()}); replicas must predict the same classes"
            )
