"""Digests of the code that replicas come from: the files of the user's project, without comments and formatting."""

from __future__ import annotations

import ast
import dis
import hashlib
import inspect
import pickle
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

LARGEST_FILE = 10_000_000
"""Larger files named in a command are taken for data: they are not part of the code."""

Code = dict[str, str]
"""Name of a file of the project to the digest of its content."""


def code_of_function(function: Callable[..., Any]) -> Code:
    """Digests of a function with the definitions of its file that it uses, and of the modules of its project that these import.

    Statements of the file that the function does not use, such as the call of `traintwice.replicate`, are left out. The arguments of a
    `functools.partial`, the attributes of a callable object, the object of a method and the values that a function inside another one
    has from there count as code, where they can be pickled; of a function without a file, as in a notebook, also the globals it uses.
    """
    return {**_of_definition(function), **_of_values(function), **_of_surroundings(_without_partials(function))}


def _of_values(function: Any) -> Code:
    """Digest of the values that a function carries."""
    carried: Any = ()
    while isinstance(function, partial):
        carried, function = (*carried, function.args, function.keywords), function.func
    owner = (
        getattr(function, "__self__", None) if inspect.ismethod(function) else None if inspect.isroutine(function) else function
    )
    carried = (*carried, vars(owner)) if hasattr(owner, "__dict__") and not isinstance(owner, type | ModuleType) else carried
    return _of_value(f"arguments of {trainer_name(function)}", carried) if any(carried) else {}


def _of_value(name: str, value: Any) -> Code:
    try:
        return {name: _content_digest(value)}
    except Exception:  # whatever an object raises that cannot be pickled
        return {}


def _content_digest(value: Any) -> str:
    found = hashlib.blake2b(digest_size=16)
    target: Any = SimpleNamespace(write=found.update)
    _ByContent(target).dump(value)
    return found.hexdigest()


class _ByContent(pickle.Pickler):
    """Gives equal bytes in all processes: pickled tensors have addresses, and sets another order in each process."""

    def persistent_id(self, value: Any) -> Any:
        """The content of tensors and sets; other values are pickled as they are."""
        if isinstance(value, set | frozenset):
            return sorted(map(_content_digest, value))
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(value, torch.Tensor):
            return None
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return str(value.dtype), tuple(value.shape), content.numpy().tobytes()


def _of_surroundings(function: Any) -> Code:
    """Digests of what functions find outside of their definitions, from this function on."""
    parts: list[tuple[str, str]] = []
    waiting, seen = [function], {id(function)}
    while waiting:
        one = waiting.pop()
        has_file = _tree_of(one) is not None
        for name, value in _outside(one, has_file).items():
            if inspect.isfunction(value) or inspect.isclass(value):
                if value.__module__ == one.__module__ and id(value) not in seen:
                    seen.add(id(value))
                    waiting.append(value)
                    parts += [] if has_file else [(value.__qualname__, _of_cell(value))]
            elif not inspect.isroutine(value) and not isinstance(value, ModuleType):
                parts += _of_value(f"{name} of {one.__qualname__}", value).items()
    found: Code = {}
    for name, digest in parts:  # several functions may have one name, as lambdas do
        found[name] = _digest(found.get(name, "") + digest)
    return found


def _outside(function: Any, has_file: bool) -> dict[str, Any]:
    """By name, the values of the closure and the defaults of a function and, where it has no file, the globals that it uses."""
    function = getattr(function, "__func__", function)
    if not inspect.isfunction(function) or (has_file and "<" not in function.__qualname__):
        return {}
    code = function.__code__
    known = {} if has_file else function.__globals__
    found = {name: known[name] for name in _names_of(code) if name in known}
    parameters = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    found |= zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True)
    found |= function.__kwdefaults__ or {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not bound yet
            found[name] = cell.cell_contents
    return found


def _names_of(code: Any) -> Iterator[str]:
    """Names of globals that compiled code uses."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names_of(constant)


def trainer_name(function: Any) -> str:
    """Name of a function, of the function of a `functools.partial`, or of the class of an object."""
    function = _without_partials(function)
    return str(getattr(function, "__qualname__", type(function).__name__))


def _without_partials(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function


def _of_definition(function: Callable[..., Any]) -> Code:
    """Digests of the files of a function."""
    plain = inspect.unwrap(_without_partials(function))
    if not inspect.isroutine(plain):
        plain = type(plain)
    name = getattr(plain, "__qualname__", repr(plain))
    if (read := _tree_of(plain)) is None:
        return {name: _of_cell(plain)}
    path, tree = read
    if not _is_of_project(path):
        return {}
    root = _root(path, getattr(plain, "__module__", ""))
    used = _used(tree, name.partition(".")[0])
    found = {path.name: _digest("\n".join(map(ast.unparse, used)))}
    seen = {path.resolve()}
    for module in _imports(used, path, root):
        _add_file(module, root, found, seen)
    return found


def _tree_of(function: Any) -> tuple[Path, ast.Module] | None:
    """The file of a function or class and what is in it; None where it has none."""
    try:
        path = Path(inspect.getsourcefile(function) or "")
        return path, ast.parse(path.read_bytes())
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


def code_of_command(command: Sequence[str], folder: Path) -> Code:
    """Digests of the files that the words of a command name, and of the modules of the project that Python files among them import."""
    found: Code = {}
    seen: set[Path] = set()
    for word in command:
        path = folder / word
        try:
            is_code = path.is_file() and path.stat().st_size <= LARGEST_FILE and _is_of_project(path)
        except (OSError, ValueError):
            continue
        if is_code:
            _add_file(path, path.parent, found, seen)
    return found


def changes(there: Code, here: Code) -> list[str]:
    """Names of the files that differ between two codes.

    >>> changes({"train.py": "a", "old.py": "b"}, {"train.py": "c", "old.py": "b"})
    ['train.py']
    """
    return [name for name in dict.fromkeys([*here, *there]) if there.get(name) != here.get(name)]


def _add_file(path: Path, root: Path, found: Code, seen: set[Path]) -> None:
    """Add a file, and the project's modules that it imports if it is Python."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    name = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
    try:
        tree = ast.parse(path.read_bytes()) if path.suffix == ".py" else None
    except (SyntaxError, ValueError):
        tree = None
    if tree is None:
        found[name] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        return
    found[name] = _digest(ast.unparse(tree))
    for module in _imports(tree.body, path, root):
        _add_file(module, root, found, seen)


def _used(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a module that define a name, and the names that these statements use, in their order."""
    by_name: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for bound in _bound(statement):
            by_name.setdefault(bound, []).append(statement)
    wanted, used = [name], set()
    while wanted:
        for statement in by_name.pop(wanted.pop(), []):
            used.add(statement)
            wanted += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [statement for statement in tree.body if statement in used]


def _bound(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return  # names inside a definition are its own


def _imports(statements: Sequence[ast.stmt], path: Path, root: Path) -> Iterator[Path]:
    """Files of the project that statements import."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = root
            for _ in range(node.level):
                base = path.parent if base is root and node.level else base.parent
            parts = node.module.split(".") if node.module else []
            yield from _files(base, parts)
            for alias in node.names:
                yield from _files(base, [*parts, alias.name])


def _files(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    """The file of a module and those of its packages, where they are in a folder."""
    for depth in range(1, len(parts) + 1):
        stem = base.joinpath(*parts[:depth])
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file() and _is_of_project(path):
                yield path


def _root(path: Path, module: str) -> Path:
    """The folder that the names of a file's module start from."""
    depth = 0 if module in ("__main__", "__mp_main__") else module.count(".") + (path.name == "__init__.py")
    return path.resolve().parents[depth]


def _is_of_project(path: Path) -> bool:
    """Whether a file is not of Python, an installed package or this package."""
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places |= {
        *site.getsitepackages(),
        site.getusersitepackages(),
        str(Path(__file__).parent),
        str(Path(sys.executable).parent),
    }
    resolved = path.resolve()
    return not any(resolved.is_relative_to(Path(place).resolve()) for place in places)


def _of_cell(plain: Any) -> str:
    """The digest of a function without a file: its source, or its compiled code."""
    try:
        return _digest(inspect.getsource(plain))
    except (OSError, TypeError):
        code = getattr(plain, "__code__", None)
        return _digest(repr((code.co_code, code.co_names, _constants(code))) if code is not None else repr(type(plain)))


def _constants(code: Any) -> list[Any]:
    plain = (sorted(map(repr, c)) if isinstance(c, frozenset) else c for c in code.co_consts)  # the same in all processes
    return [_constants(c) if hasattr(c, "co_code") else c for c in plain]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
