"""The commands of docs/guides/elsewhere.md run as they are written, with other hosts and buckets."""

import re
import shlex
from pathlib import Path

import boto3
import duckdb
import pytest
from deltalake import write_deltalake
from two_models import model

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "elsewhere.md"
COMMANDS = [line.partition("  #")[0].strip() for line in GUIDE.read_text().splitlines() if line.startswith("traintwice ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command, bucket, postgres, local, traintwice):
    for name in ("old", "new"):
        boto3.client("s3").upload_file(local / f"{name}.parquet", bucket, f"guide/{name}.parquet")
    for version in range(5):
        write_deltalake("preds", duckdb.sql(model(version)).to_arrow_table(), mode="overwrite")
    Path("new.parquet").symlink_to(local / "new.parquet")
    command = command.replace("s3://models", f"s3://{bucket}/guide").replace("postgresql://ann@host/db", postgres)
    status, output, errors = traintwice(*shlex.split(command)[1:])
    assert (status, errors) == (0, "")
    assert re.search(r"churn", output)


def test_all_three_sources_are_among_them():
    assert len(COMMANDS) == 3
