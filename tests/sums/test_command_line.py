"""`traintwice sums`, `diff --sums` and `gate --sums`, and the commands of the guide as they are written."""

import json
import re
import shlex
from pathlib import Path

import duckdb
import pytest
from models import model

from command_line import _command_built_once, traintwice  # noqa: F401

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "warehouse.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A file with the result of the guide's query."""
    folder = tmp_path_factory.mktemp("result")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (command,) = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("traintwice sums")]
        from typer.testing import CliRunner

        from traintwice.cli._app import app

        printed = CliRunner().invoke(app, shlex.split(command.partition(" > ")[0])[1:])
        assert printed.exit_code == 0, printed.output
    with duckdb.connect() as connection:
        for name, seed in (("pred_v1", 1), ("pred_v2", 2)):
            connection.register(name, model(seed))
        connection.sql(printed.output).write_parquet(str(folder / "result.parquet"))
    return folder / "result.parquet"


def test_the_guide(result, traintwice, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.parquet").write_bytes(result.read_bytes())
    commands = [line for block in blocks("bash") for line in block.splitlines() if "--sums" in line]
    assert len(commands) == 2
    for command in commands:
        status, output, errors = traintwice(*shlex.split(command)[1:])
        assert (status, errors) == (0, ""), command
        assert "churn" in output
    for block in blocks("python"):
        exec(compile(block, "guide", "exec"), {})  # noqa: S102


def test_json(result, traintwice):  # noqa: F811
    status, output, errors = traintwice("diff", "--sums", result, "--json", "--quiet")
    assert (status, errors) == (0, "")
    assert json.loads(output)["alignment"]["rows"] == 400
    status, output, errors = traintwice("gate", "--sums", result, "--max", "churn=0.1%", "--json", "--quiet")
    assert (status, errors) == (1, "")


BAD = {
    "diff --sums nowhere.parquet": "nowhere.parquet: no such file",
    "diff --sums rows.csv": "total, squares and has other columns (id, p); expected the result of the query",
    "diff --sums rows.csv --floor a.csv": "--sums: leave out --floor, which needs the rows",
    "diff --sums rows.csv --id id": "--sums: leave out --id; pass them to `traintwice sums`",
    "diff --sums rows.csv --threshold 0.5": "--sums: leave out --threshold",
    "diff --sums rows.csv --on spark": "--sums: leave out --on",
    "diff rows.csv --id id --sums rows.csv": "--sums: leave out OLD and NEW",
    "diff rows.csv rows.csv --on database": "rows.csv: expected a table of PostgreSQL",
    "diff rows.csv --on spark": "Missing argument 'NEW'.",
    "gate --sums rows.csv --max churn=2% --waive 7": "--sums: leave out --waive, which needs the rows",
    "gate --sums rows.csv": "gate: no budget; pass --max MEASURE=LIMIT",
    "sums --dialect oracle --old a --new b --id id --score p": "no dialect named 'oracle'",
    "sums --dialect spark --old a --new b --id id": "got none of score, probs and pred",
}


@pytest.mark.parametrize("command", BAD)
def test_mistakes(command, traintwice, tmp_path):  # noqa: F811
    Path("rows.csv").write_text("id,p\n1,0.5\n")
    status, output, errors = traintwice(*shlex.split(command))
    assert (status, output) == (2, "")
    assert BAD[command] in " ".join(errors.split())
    assert "Traceback" not in errors
