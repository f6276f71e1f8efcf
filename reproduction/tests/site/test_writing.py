"""The pages of the site: marks are filled, every public module and every command has a page, no link is dead."""

import os
import re

import pytest
from typer.main import get_command

from traintwice.cli._app import app
from traintwice_reproduction.site import api, marks, writing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("site") / "made"
    writing.write(place)
    return place


def test_no_mark_is_left(folder):
    for page in (folder / "pages").rglob("*.md"):
        assert not marks.MARK.search(page.read_text()), page


def test_an_unknown_mark_is_refused():
    with pytest.raises(KeyError, match="sene"):
        marks.filled("{{ sene: baseline }}")


def test_every_public_module_and_every_command_has_a_page_in_the_navigation(folder):
    navigation = (folder / "mkdocs.yml").read_text()
    names = [f"api/{name}.md" for name in api.modules()] + [f"command-line/{name}.md" for name in get_command(app).commands]
    assert {"api/traintwice.md", "api/traintwice.metrics.md", "command-line/diff.md"} <= set(names)
    for name in names:
        assert (folder / "pages" / name).exists()
        assert f"- {name}\n" in navigation
    assert not any("._" in name for name in names)


def test_no_link_is_dead(folder):
    for page in (folder / "pages").rglob("*.md"):
        code = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", code):
            assert "://" in target or os.path.exists(page.parent / target), f"{page.name} links to {target}"  # noqa: PTH110


def test_options_of_a_command_are_on_its_page(folder):
    text = (folder / "pages" / "command-line" / "diff.md").read_text()
    options = {
        name for p in get_command(app).commands["diff"].params for name in p.opts if name.startswith("--") and not p.hidden
    }
    assert all(f"`{name}`" in text for name in options)


def test_a_new_member_of_a_folder_is_behind_those_that_the_index_links(tmp_path):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "index.md").write_text("[b](b.md) [a](a.md) [gone](gone.md)")
    for name in "abc":
        (tmp_path / "methods" / f"{name}.md").write_text(name)
    assert writing._of("methods", tmp_path) == ["methods/b.md", "methods/a.md", "methods/c.md"]


def test_the_house_has_no_circle():
    """Every room is above everything that it imports, which `levels` cannot give in a circle."""
    import traintwice
    from traintwice_reproduction.site.house import levels, rooms_of

    rooms = rooms_of(writing.Path(traintwice.__file__).parent)
    at = levels(rooms)
    assert {"compare", "predictions", "cli"} <= rooms.keys()
    assert all(at[name] > at[other] for name, room in rooms.items() for other in room["imports"])
