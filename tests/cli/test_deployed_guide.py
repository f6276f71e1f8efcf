"""Every example of docs/guides/deployed.md runs as it is written, in its order; and the verbs of the page on bad input."""

import json
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "deployed.md"

CHAIN = """
name = "daily"
replicas = 2
[data]
type = "Table"
file = "days.csv"
label = "y"
date = "day"
train = 60
validation = 30
test = 30
[recipe]
epochs = 1
network = {type = "MLP", hidden = [4]}
[chain]
days = 2
history = 3
test_days = 2
ways = ["fresh", "warm"]
"""


def blocks():
    return re.findall(r"```(python|sh|toml)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_the_page_in_its_order(traintwice, tmp_path, capsys):
    ran = []
    for language, block in blocks():
        if language == "toml":
            (tmp_path / "study.toml").write_text(block)
        elif language == "python":
            exec(compile(block, "example", "exec"), {})  # noqa: S102
        elif "examples/" not in block:
            words = shlex.split(block)[1:]
            fewer = {"export": [], "tune": ["--no-report", "--trials", "1"]}  # which saves seconds
            status, out, _ = traintwice(*words, *fewer.get(words[0], ["--no-report"]))
            assert status == 0
            ran.append(words[0])
            if words[0] == "run":
                assert "Against the model in service" in out
            if words[0] == "tune":
                assert "Write into study.toml" in out or "No setting keeps the accuracy" in out
    assert ran == ["run", "export", "tune"]
    assert len([1 for language, _ in blocks() if language == "python"]) == 3


def test_the_example_of_a_chain_is_valid():
    from traintwice.study import Chain

    assert Chain.read(PAGE.parents[2] / "examples" / "flights_chain.toml").ways[0] == "fresh"


@pytest.fixture
def chain_file(tmp_path):
    lines = ["day,x,y"] + [f"d{n // 15},{(n * 7919) % 101 / 101},{n % 2}" for n in range(120)]
    (tmp_path / "days.csv").write_text("\n".join(lines))
    (tmp_path / "chain.toml").write_text(CHAIN)
    return tmp_path / "chain.toml"


def test_a_chain_on_the_command_line(traintwice, chain_file, tmp_path):
    status, out, err = traintwice("chain", chain_file, "--store", "runs", "--report", "report")
    assert status == 0
    assert "warm, day 2: 2/2 replicas" in err
    assert "daily churn − fresh" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "how far do daily retrains drift?" in page
    assert "chart-chain" in page
    status, out, err = traintwice("chain", chain_file, "--store", "runs", "--no-report", "--json")
    assert status == 0
    assert "replicas" not in err  # nothing is trained again
    assert json.loads(out)["ways"][0]["way"] == "fresh"
    status, out, _ = traintwice("store", "runs", "--json")
    assert status == 0
    assert "daily: day 1" in out or "day 1" not in out


def test_the_page_of_a_search(traintwice, tmp_path):
    (study,) = [block for language, block in blocks() if language == "toml"]
    logged = re.search(r"\[rows\.logged\].*?\n\n", study, flags=re.DOTALL)[0]
    study = study.replace(logged, '[rows.logged]\nmethod = { builder = "entropy_regulariser", alpha = 0.1 }\n\n')
    study = study.replace("method.share", "method.alpha").replace("trials = 4", "trials = 2").replace("epochs = 10", "epochs = 1")
    (tmp_path / "study.toml").write_text(study)
    status, out, err = traintwice("tune", "study.toml", "--min", "accuracy=-50%", "--report", "report")
    assert status == 0
    assert "trial 2 of 2: method.alpha" in err
    assert "[rows.logged.method]" in out
    assert "chart-front" in (tmp_path / "report" / "index.html").read_text()
    assert json.loads((tmp_path / "report" / "results.json").read_text())["trials"][1]["number"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("chain nowhere.toml", "nowhere.toml: cannot be read (No such file or directory)"),
        ("chain chain.toml --seed -1", "seed: got -1"),
        ("tune chain.toml", "tune: missing; a search needs a table with row and search"),
        ("tune chain.toml --min churn=2%", "--min churn=2%: expected accuracy="),
        ("run chain.toml --against nowhere.parquet", "nowhere.parquet: no such file"),
        ("replicate --against nowhere.csv -- true", "nowhere.csv: no such file"),
    ],
)
def test_bad_input(traintwice, chain_file, words, message):
    text = chain_file.read_text().replace("[chain]", "[other]") if words.startswith("tune") else chain_file.read_text()
    chain_file.write_text(text)
    status, _, err = traintwice(*words.split())
    assert status == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err
