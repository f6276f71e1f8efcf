import sys
from pathlib import Path

# tests are imported by file (--import-mode=importlib); the examples beside them are a module.
sys.path.insert(0, str(Path(__file__).parent))
