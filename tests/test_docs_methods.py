"""Every method and control has a page in docs/methods, with its options, its cost and a row that can be copied."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from traintwice import controls
from traintwice.data import Digits
from traintwice.methods import BUILDERS
from traintwice.study import Experiment

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "methods"
CARDS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md")) if path.stem != "index"}
NAMED = {title: re.findall(r"`(\w+)`", re.search(r"^Names: (.*)$", card, flags=re.MULTILINE)[1]) for title, card in CARDS.items()}
FIELDS = ["Formula", "Options", "Cost", "Weights to try", "When it does not help", "Seen here"]
each_card = pytest.mark.parametrize("title", CARDS)


@pytest.mark.parametrize("name", [*BUILDERS, *controls.CONTROLS])
def test_every_method_and_control_has_one_card_with_all_its_options(name):
    titles = [title for title, names in NAMED.items() if name in names]
    assert len(titles) == 1, (
        f"{name} is named by {titles or 'no card'}; it needs one card, docs/methods/{name.replace('_', '-')}.md"
    )
    (title,) = titles
    made = {**BUILDERS, **controls.CONTROLS}[name]
    for option in inspect.signature(made).parameters:
        assert option == "base" or f"`{option}`" in CARDS[title], f"{title} does not mention {option}"


@each_card
def test_card_is_whole(title):
    assert set(NAMED[title]) <= {*BUILDERS, *controls.CONTROLS}
    found = re.findall(r"\*\*(" + "|".join(FIELDS) + r")\.\*\*", CARDS[title])
    assert found == FIELDS, f"docs/methods/{title}.md: expected the parts {FIELDS} in this order"
    assert "cost:" in CARDS[title]


def test_the_index_has_every_card():
    assert set(re.findall(r"^- \[.*\]\((.*)\.md\)$", (FOLDER / "index.md").read_text(), flags=re.MULTILINE)) == set(CARDS)


@each_card
def test_toml_of_a_card_is_its_python(title):
    (plain,) = re.findall(r"```toml\n(.*?)```", CARDS[title], flags=re.DOTALL)
    (python,) = re.findall(r"```python\n(.*?)```", CARDS[title], flags=re.DOTALL)
    names = {}
    exec(compile(python, title, "exec"), names)  # noqa: S102
    read = Experiment.from_dict({"name": "card", "data": {"type": "Digits"}, **tomllib.loads(plain)})
    (recipe,) = read.rows.values()
    # A row's own numbers of epochs are multiples of the base's, which is Recipe() here too.
    assert recipe == Experiment("card", Digits(), {"row": names["recipe"]}).rows["row"]
