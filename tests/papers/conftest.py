"""Lets the tests write files of the published formats, as those of the data do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data"))
