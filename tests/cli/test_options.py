from pathlib import Path

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "y", "--label=z"], "--label: got 2 values, expected one"),
        (["-q", "-q", "--by", "g", "--by", "h", "--task", "t", "--task", "u"], "--task is for evaluation logs"),
    ],
)
def test_an_option_of_one_value_is_not_passed_twice(traintwice, arguments, message):
    for name in ("old.csv", "new.csv"):
        Path(name).write_text("id,p\n1,0.2\n2,0.8\n")
    status, _, said = traintwice("diff", "old.csv", "new.csv", *arguments)
    assert (status, message in " ".join(said.split())) == (2, True), said
