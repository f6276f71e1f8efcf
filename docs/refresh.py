"""Put the numbers of the digits study into README.md, from the command that prints them.

python docs/refresh.py            # runs `traintwice run digits` (or reads its store) and rewrites the marked part
"""

from __future__ import annotations

import re
from pathlib import Path

from traintwice import metrics
from traintwice.presets import digits
from traintwice.report import sentences
from traintwice.study import run, verdict

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (metrics.accuracy, metrics.churn, metrics.churn_to_error, metrics.surrogate_churn)


def main() -> None:
    """Rewrite the part of README.md between the markers."""
    results = run(digits(), store=ROOT / "traintwice-runs")
    table = results.table(SHOWN).to_markdown().partition("\n\n")[2].strip()
    said = "\n".join(f"- {sentence}" for sentence in sentences(verdict(results), results))
    readme = ROOT / "README.md"
    text = readme.read_text()
    marked = re.sub(
        r"(<!-- digits:begin -->\n).*?(<!-- digits:end -->)", lambda m: f"{m[1]}{table}\n\n{said}\n{m[2]}", text, flags=re.DOTALL
    )
    readme.write_text(marked)


if __name__ == "__main__":
    main()
