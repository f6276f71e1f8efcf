"""``python -m traintwice`` is the command line."""

from traintwice.cli import main

if __name__ == "__main__":
    main()
