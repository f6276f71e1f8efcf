"""The command line. Each verb reads its arguments and calls one function of the layers below."""

from traintwice.cli._app import main

__all__ = ["main"]
