import pytest

from traintwice.cli._options import spread

TAKES = {"--floor", "--new-floor", "--id", "--by"}
SEVERAL = ["--floor", "--new-floor"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("old new", "old new"),
        ("old new --floor 'a*'", "old new --floor 'a*'"),
        ("old new --floor a b c --id i", "old new --floor a --floor b --floor c --id i"),
        ("--floor a b c old new", "--floor a --floor b --floor c old new"),
        ("--floor a* old new", "--floor a* old new"),
        ("old --floor a b new", "old --floor a --floor b new"),
        ("old new --floor a b --new-floor c d -q", "old new --floor a --floor b --new-floor c --new-floor d -q"),
        ("old new --floor a --floor b", "old new --floor a --floor b"),
        ("old new --floor=a -q", "old new --floor=a -q"),
        ("--json old new --floor a b", "--json old new --floor a --floor b"),
        ("--id i old new --by g --by h", "--id i old new --by g --by h"),
        ("--floor a -- old new", "--floor a -- old new"),
        ("old new --floor --id i", "old new --floor --id i"),
        ("--floor a", "--floor a"),
    ],
)
def test_files_after_an_option(typed, read):
    assert spread(typed.split(), SEVERAL, TAKES, 2) == read.split()
