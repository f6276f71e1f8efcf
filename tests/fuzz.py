"""Fuzzing of every reader with atheris, see ``make fuzz``: random bytes must end in a result or in an error of this package.

    python tests/fuzz.py 600                 every reader, ten minutes in all
    python tests/fuzz.py 60 csv parquet      some readers
    python tests/fuzz.py --try csv FILE      one input, with its message

The first byte of an input chooses the reader. The run ends at the first finding, which is kept as ``fuzz-findings/READER-…``; put it
into ``tests/corpus/READER``, where a test reads it.
"""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from readers import READERS, seeds

FINDINGS = Path("fuzz-findings")

LONGEST_INPUT, LONGEST_RUN = 1 << 14, 60
"""Bytes of an input, and seconds that one may take."""


def main() -> None:
    """Fuzz, or try one input."""
    first, *names = sys.argv[1:]
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    if first == "--try":
        print(READERS[names[0]].errors(Path(names[1]).read_bytes(), Path(folder.name)) or "read")
        return
    import atheris

    with atheris.instrument_imports(include=["traintwice"]):
        from traintwice import compare, data, logs, predictions, recipes, replication, specs, study  # noqa: F401
    names = names or list(READERS)
    tried: Counter[str] = Counter()
    corpus = Path(folder.name) / "corpus"
    corpus.mkdir()
    for number, name in enumerate(names):
        for i, content in enumerate(seeds(name)):
            (corpus / f"{number}-{i}").write_bytes(bytes([number]) + content)

    def one(content: bytes) -> None:
        if not content:
            return
        name = names[content[0] % len(names)]
        tried[name] += 1
        if sum(tried.values()) % 500 == 0:
            report()
        place = Path(folder.name) / name
        place.mkdir(exist_ok=True)
        try:
            READERS[name].errors(content[1:], place)
        except Exception:
            FINDINGS.mkdir(exist_ok=True)
            kept = FINDINGS / f"{name}-{sum(tried.values())}"
            kept.write_bytes(content[1:])
            print(f"finding: {kept}", file=sys.stderr, flush=True)
            raise

    def report() -> None:
        print(
            f"{sum(tried.values()):,} inputs: {', '.join(f'{name} {tried[name]}' for name in names)}", file=sys.stderr, flush=True
        )

    limits = [f"-max_total_time={first}", f"-max_len={LONGEST_INPUT}", f"-timeout={LONGEST_RUN}", "-rss_limit_mb=6144"]
    printed = ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={folder.name}{os.sep}"]
    atheris.Setup([sys.argv[0], *limits, *printed, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
