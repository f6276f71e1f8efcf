"""Fuzzing of every reader with atheris, see ``make fuzz``: random bytes must end in a result or in an error of this package.

    python tests/fuzz.py 600                 every reader, so many seconds together
    python tests/fuzz.py 60 csv parquet      some readers
    python tests/fuzz.py --try csv FILE      one input, as a traceback shows it

Inputs that end otherwise are kept as ``fuzz-findings/READER-*``. Put them into ``tests/corpus/READER``, where a test reads them.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from readers import CORPUS, READERS

FINDINGS = Path("fuzz-findings")

LONGEST_INPUT, LONGEST_RUN = 1 << 14, 20
"""Bytes of an input, and seconds that one may take."""


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one reader in this process, which ends at the first finding."""
    import atheris

    with atheris.instrument_imports(include=["traintwice"]):
        from traintwice import compare, data, logs, predictions, recipes, replication, specs, study  # noqa: F401
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kept:

        def one(content: bytes) -> None:
            READERS[name].errors(content, Path(folder))

        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", f"-timeout={LONGEST_RUN}", "-rss_limit_mb=4096"]
        options = [f"-artifact_prefix={FINDINGS}/{name}-", "-print_final_stats=1", "-verbosity=0", *limits]
        atheris.Setup([sys.argv[0], *options, kept, str(CORPUS / name)], one)
        atheris.Fuzz()


def main() -> None:
    """Fuzz readers one after the other, each in a process of its own."""
    first, *names = sys.argv[1:]
    if first == "--one":
        fuzz(names[0], int(names[1]))
    if first == "--try":
        with tempfile.TemporaryDirectory() as folder:
            print(READERS[names[0]].errors(Path(names[1]).read_bytes(), Path(folder)) or "read")
        return
    FINDINGS.mkdir(exist_ok=True)
    names = names or list(READERS)
    each, failed = max(1, int(first) // len(names)), []
    for name in names:
        ended = subprocess.run([sys.executable, __file__, "--one", name, str(each)], capture_output=True, text=True)
        tried = [line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
        print(
            f"{name}: {tried[0] if tried else 'no'} inputs in {each} s{'' if ended.returncode == 0 else ': FINDING'}", flush=True
        )
        if ended.returncode:
            failed.append(name)
            print(ended.stderr[-4000:])
    sys.exit(f"findings in {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
