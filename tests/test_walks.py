"""Pages whose examples and commands are one walk: they run in their order, in one directory."""

import re
import shlex
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from command_line import traintwice  # noqa: F401

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", ["guides/daily-retrains", "guides/notebook"])
def test_walk(page, traintwice):  # noqa: F811
    names, printed = {}, ""
    with threadpool_limits(1):
        for language, block in re.findall(r"```(python|sh)\n(.*?)```", (DOCS / f"{page}.md").read_text(), flags=re.DOTALL):
            if language == "python":
                exec(compile(block, page, "exec"), names)  # noqa: S102
            for command in block.splitlines() if language == "sh" else ():
                if command.startswith("traintwice "):
                    status, output, errors = traintwice(*shlex.split(command)[1:])
                    assert (status, errors) == (0, ""), command
                    printed += output
    if "found" in names:
        assert len(names["found"].slices) == 2
    else:
        assert "× floor of" in printed
        assert "1 launch" in printed
