"""Code for a subprocess in which PyTorch is not installed."""

HIDE_TORCH = """
import sys
class NoTorch:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [NoTorch(finder) for finder in sys.meta_path]
"""
