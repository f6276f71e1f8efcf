"""docs/guides/data.md names every data set, and every setting in it is one."""

import re
import tomllib
from pathlib import Path

import pytest

from traintwice.data import ALL, FETCHED, Source
from traintwice.specs import decode

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "guides" / "data.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_table_is_a_data_set(block):
    assert type(decode(Source, tomllib.loads(block)["data"])) in ALL


def test_every_data_set_has_a_table_and_is_described():
    shown = {tomllib.loads(block)["data"]["type"] for block in BLOCKS}
    assert shown == {cls.__name__ for cls in ALL}
    download = PAGE.partition("## To download")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", download, flags=re.MULTILINE)) == set(FETCHED)
