"""What stands in README and docs runs as it is written: the Python, and the commands on small files."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
ADAPTERS = [f"docs/guides/{name}.md" for name in ("lightning", "pytorch", "scikit-learn", "trackers", "transformers")]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN_TESTS = (
    "docs/start/evaluation-logs.md",
    *(
        f"docs/guides/{name}.md"
        for name in (
            "daily-retrains",
            "deployed",
            "elsewhere",
            "jax",
            "notebook",
            "ray",
            "replicate",
            "slurm",
            "torchrun",
            "warehouse",
        )
    ),
    *ADAPTERS,
)
HERE = [page for page in PAGES if page.relative_to(ROOT).as_posix() not in OWN_TESTS]


def blocks_of(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


BLOCKS = [pytest.param(block, id=f"{path.name}-{i}") for path in HERE for i, block in enumerate(blocks_of(path, "python"))]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "traintwice.replicate(" in block:  # in this process; tests/replication/test_guide.py starts those of a script
        block = block.replace("replicas=10", 'replicas=2, executor="in-process"')
    exec(compile(block, "example", "exec"), {"__name__": "__main__"})  # noqa: S102


def headings(text):
    """Anchors of a page's headings, as GitHub makes them."""
    code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", code, flags=re.MULTILINE)
    }


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """The files that docs/start/two-files.md speaks of."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(400, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    country = rng.choice(["BR", "DE"], 400)
    for name in ("old", "new", *[f"again{k}" for k in range(5)]):
        powers = np.exp(logits + (0.6 if name == "new" else 0.3) * rng.normal(size=logits.shape))
        probs = powers / powers.sum(axis=1, keepdims=True)
        lines = [f"id{i},{','.join(map(repr, p))},{labels[i]},{country[i]},u{i // 4}" for i, p in enumerate(probs.tolist())]
        (folder / f"{name}.csv").write_text("\n".join(["row_id,p_0,p_1,p_2,y,country,user", *lines]) + "\n")
    (toml,) = [block for block in blocks_of(ROOT / "docs" / "start" / "two-files.md", "toml") if "budgets" in block]
    (folder / "gate.toml").write_text(toml)
    return folder


COMMANDS = list(
    dict.fromkeys(
        line.partition(" #")[0].strip()
        for path in HERE
        for block in blocks_of(path, "sh")
        for line in block.splitlines()
        if re.match(r"traintwice (diff|gate|measure|plan) .*(old\.csv|again|gate\.toml|--churn)", line)
    )
)
"""Each once, on however many pages it is."""


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command, small_files, monkeypatch, capsys):
    from traintwice.cli import main

    monkeypatch.chdir(small_files)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    monkeypatch.setattr("traintwice.cli._output.FIRST_SECONDS", 3600.0)  # no lines of progress, however slow the machine is
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert len(out) > 100


def lines_of_commands():
    """Every command line of `traintwice` on every page, up to a pipe, a redirection or a comment."""
    for page in PAGES:
        for block in blocks_of(page, "(?:sh|bash|console)"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                ends = [words.index(mark) for mark in ("|", ">", ">>", "&&", "&", ";") if mark in words]
                words = ["0" if word.startswith("$SLURM") else word for word in words[: min(ends, default=len(words))]]
                if "traintwice" in words[:4]:
                    yield pytest.param(words[words.index("traintwice") + 1 :], id=f"{page.name}: {' '.join(words)}"[:90])


@pytest.mark.parametrize("words", list(lines_of_commands()))
def test_every_command_line_is_understood(words, monkeypatch):
    """The verb, its options and their values are those of the program. Tests of the pages run the commands."""
    from typer.main import get_command

    from traintwice.cli._app import app

    verbs = get_command(app).commands
    if words[:1] and not words[0].startswith("-"):
        verb = verbs[words[0]]
        verb.make_context(words[0], words[1:])


def test_the_walk_through_is_among_them():
    assert len(COMMANDS) >= 11
    assert {command.split()[1] for command in COMMANDS} == {"diff", "gate", "measure", "plan"}


@pytest.mark.parametrize("name", ["github-action.yml", "gitlab-ci.yml"])
def test_the_job_to_copy_runs_what_there_is(name):
    text = (ROOT / "examples" / name).read_text()
    (command,) = re.findall(r"^[\s-]+(traintwice gate .*?)(?: >>|$)", text, flags=re.MULTILINE)
    from typer.main import get_command

    from traintwice.cli._app import app

    known = {name for p in get_command(app).commands["gate"].params for name in p.opts}
    assert {word for word in shlex.split(command) if word.startswith("--")} <= known


def test_the_gate_of_the_job_to_copy_is_one():
    text = (ROOT / "examples" / "github-action.yml").read_text()
    toml = "\n".join(line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   "))
    import tomllib

    from traintwice.gates._gate_files import gate_from

    assert len(gate_from(tomllib.loads(toml)).budgets) == 2


def test_no_link_inside_the_repository_is_dead():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):  # the pages of docs/: reproduction/tests/site
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
            if "://" not in target:
                there = path.parent / target if target else path
                assert there.exists(), f"{path.name} links to {target}, which is not there"
                assert not anchor or anchor in headings(there.read_text()), f"{path.name}: {target} has no heading #{anchor}"


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    folders = re.findall(r": ([\w-]+)/$", text, flags=re.MULTILINE)
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name.partition("/")[0] in folders or re.search(rf"(: |- ){re.escape(name)}$", text, flags=re.MULTILINE), name
