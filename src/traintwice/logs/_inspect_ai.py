"""Logs of inspect_ai: ``.eval`` files (zip files of JSON) and ``.json`` files.

Layout of versions 0.3.260 to 0.3.285 (log schema 2). A zip file holds ``header.json`` (``_journal/start.json`` alone where the run did not
finish) and one file a sample: ``samples/ID_epoch_N.json``, or ``samples/ID_epoch_N/sample.json`` for large samples. Epochs become draws.
Compression is deflate, or Zstandard (method 93), which Python's zipfile reads from 3.14 on; DuckDB unpacks it here.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from lzma import LZMAError
from pathlib import Path
from typing import Any

from traintwice._files import zstd_lines
from traintwice.errors import BadInput, hidden
from traintwice.logs._files import Head, elements, text_of
from traintwice.logs._outcomes import Outcomes, Row, Rows, number_of

_SAMPLE = re.compile(r"samples/.+_epoch_\d+(\.json|/sample\.json)")

_HEADERS = ("header.json", "_journal/start.json")

ZSTANDARD = 93

DAMAGED = (zipfile.BadZipFile, struct.error, ValueError, RuntimeError)
"""What a damaged zip file raises when it is opened."""

MOST_BYTES = 1 << 30
"""Largest unpacked size of one file in a zip file."""

MOST_TIMES, FREE_BYTES = 200, 1 << 28
"""A zip file is refused that unpacks to more than this many times its size, and to more than this many bytes."""


def is_inspect_ai(head: Head) -> bool:
    """Whether a file is a log of inspect_ai."""
    if head.kind == "zip":
        return bool(head.names & set(_HEADERS))
    run = head.first.get("eval")
    return isinstance(run, dict) and "task" in run and "version" in head.first


def read_inspect_ai(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of inspect_ai."""
    for file in files:
        header: dict[str, Any] = {}
        with file.open("rb") as content:
            is_zip = content.read(2) == b"PK"
        samples = _zip_samples(file, header) if is_zip else elements(file, "samples", rest=header)
        task = ""
        for place, sample in enumerate(samples):
            if place == 0:
                task = str(header.get("eval", {}).get("task", ""))
                if not rows.wants(task, file):
                    break
            rows.add(_row(file, task, sample))
        run = header.get("eval", {})
        rows.describe(run.get("model"), {task: run.get("task_version", 0)})
        if header.get("status", "started") != "success":
            status = header.get("status", "started")
            rows.warnings.append(f"{file.name}: the status of the run is {status!r}; samples may be missing.")
        if header.get("invalidated"):
            rows.warnings.append(f"{file.name}: samples of the run were marked invalid.")
    return rows.outcomes(files)


def _row(file: Path, task: str, sample: dict[str, Any]) -> Row:
    """The row of a sample; scores with several values are named SCORER.KEY."""
    if not isinstance(sample, dict) or "id" not in sample:
        raise BadInput(f"{file}: a sample without an id. Expected samples of an inspect_ai log.")
    scores: dict[str, float] = {}
    answers: dict[str, str | None] = {}
    output = sample.get("output") or {}
    for name, score in (sample.get("scores") or {}).items():
        value = score.get("value")
        values = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else None
        for full, one in {name: value}.items() if values is None else {f"{name}.{k}": v for k, v in values.items()}.items():
            number = number_of(one, verdicts=True)
            if number is not None:
                scores[full] = number
                answers[full] = text_of(score.get("answer")) or _completion(output)
    return Row(
        sample["id"],
        scores,
        task=task,
        draw=int(sample.get("epoch") or 1),
        answer=answers if scores else None,
        target=text_of(sample.get("target")),
        prompt=_prompt(sample),
    )


def _completion(output: Mapping[str, Any]) -> str | None:
    """The text of the model's first choice."""
    choices = output.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content")
    return output.get("completion") or (content if isinstance(content, str) else text_of(content))


def _prompt(sample: Mapping[str, Any]) -> str | None:
    """The input as text: of messages the roles and contents, with attachments in place of their references."""
    given = sample.get("input")
    if isinstance(given, list):
        given = [{key: message.get(key) for key in ("role", "content")} for message in given if isinstance(message, dict)]
    text = text_of([given, sample["choices"]] if sample.get("choices") else given)
    if text and "attachment://" in text:
        for key, content in (sample.get("attachments") or {}).items():
            text = text.replace(f"attachment://{key}", content)
    return text


def _zip_samples(file: Path, header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Samples of an ``.eval`` log, one at a time; of two files with one name the last is used."""
    try:
        opened = zipfile.ZipFile(file)
    except DAMAGED as reason:
        raise BadInput(f"{file}: cannot be read as a zip file ({reason}); it may be cut short") from None
    with opened as archive:
        by_name = {info.filename: info for info in archive.infolist()}
        head = next((by_name[name] for name in _HEADERS if name in by_name), None)
        if head is None:
            raise BadInput(f"{file}: a zip file without {' or '.join(_HEADERS)}. Expected a log of inspect_ai.")
        wanted = [head, *(info for name, info in by_name.items() if _SAMPLE.fullmatch(name))]
        _limit(file, wanted)
        for place, info in enumerate(wanted):
            try:
                value = json.loads(_unpack(file, archive, info))
            except (*DAMAGED, zlib.error, EOFError, OSError, LZMAError) as error:
                told = f"{file}: {hidden(info.filename, 'a file')} inside the zip file is damaged{hidden(f' ({error})')}"
                raise BadInput(f"{told}. Copy the file again, or repeat the run.") from None
            if place == 0:
                header.update(value)
            else:
                yield value


def _limit(file: Path, wanted: Sequence[zipfile.ZipInfo]) -> None:
    """Refuses a zip file whose list of contents announces more than is reasonable."""
    size, total = file.stat().st_size, sum(info.file_size for info in wanted)
    largest = max(wanted, key=lambda info: info.file_size)
    if largest.file_size > MOST_BYTES:
        raise BadInput(
            f"{file}: {largest.filename} unpacks to {largest.file_size:,} bytes. Expected at most {MOST_BYTES:,} for one sample; "
            "convert the log with `inspect log convert` and leave out large samples."
        )
    if total > max(MOST_TIMES * size, FREE_BYTES):
        raise BadInput(
            f"{file}: {size:,} bytes unpack to {total:,}, {total / size:,.0f} times as many. Expected at most {MOST_TIMES} times; "
            "the file does not look like a log."
        )


def _unpack(file: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The content of one file in a zip file, not larger than announced."""
    if info.compress_type != ZSTANDARD or hasattr(zipfile, "ZIP_ZSTANDARD"):
        with archive.open(info) as packed:
            return packed.read(info.file_size + 1)
    with file.open("rb") as raw:
        raw.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", raw.read(30))
        raw.seek(name + extra, 1)
        content = _zstandard(raw.read(info.compress_size), info.file_size)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile("the content does not match its check sum")
    return content


def _zstandard(packed: bytes, size: int) -> bytes:
    """Zstandard unpacked by DuckDB, which reads lines; no line is longer than the announced size."""
    import duckdb

    with tempfile.NamedTemporaryFile() as file, duckdb.connect() as connection:
        file.write(packed)
        file.flush()
        query = f"SELECT line FROM {zstd_lines('?', 'parallel = false, max_line_size = ?, buffer_size = ?')}"  # noqa: S608
        try:
            found = connection.execute(query, [file.name, size + 2, 2 * size + 64]).fetchall()
        except duckdb.Error as error:
            raise zipfile.BadZipFile(str(error).splitlines()[0]) from None
    return "\n".join(line or "" for (line,) in found).encode()
