"""What is public stands in `__all__` of a module without an underscore, with a docstring; everything else is private."""

import ast
from pathlib import Path

import pytest

import traintwice

SOURCE = Path(traintwice.__file__).parent
TOP = "augmentation averaging bank components controls errors optimizers progress progressive randomness recipes schedules served specs"
TOP += " types"
"""The public modules that are not rooms."""
PUBLIC = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if not any(part.startswith("_") for part in path.relative_to(SOURCE).with_suffix("").parts[:-1])
    and (path.name == "__init__.py" or not path.name.startswith("_"))
)


def names_in_all(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return [c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
    return None


@pytest.mark.parametrize("path", PUBLIC, ids=lambda p: str(p.relative_to(SOURCE)))
def test_public_modules_say_what_they_offer(path):
    tree = ast.parse(path.read_text())
    offered = names_in_all(tree)
    assert offered is not None, "no __all__"
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")}
    assert defined <= set(offered), f"public names that are not in __all__: {sorted(defined - set(offered))}"
    assert ast.get_docstring(tree), "no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in offered:
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_modules_of_a_room_are_private():
    loose = {path.relative_to(SOURCE).as_posix() for path in PUBLIC if path.name != "__init__.py"}
    assert loose - {f"{name}.py" for name in TOP.split()} == {path for path in loose if path.startswith("integrations/")}, (
        "a new module of a room starts with an underscore; what is public is exported by the room's __init__"
    )
