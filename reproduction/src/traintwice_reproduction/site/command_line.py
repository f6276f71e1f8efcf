"""Pages of the commands, made from the program itself."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from traintwice.cli._app import app

INTRODUCTION = """# Command line

Every table is also printed as `--json`. Exit status: 0 success (a gate: kept), 1 a gate over its budget or a check that failed, 2 a mistake
that the user can fix (one message), 3 a gate that is inconclusive, 4 a defect of this package.

| command | what it does |
| --- | --- |
"""


def pages() -> dict[str, str]:
    """Path to Markdown: an index, and a page for each command."""
    commands: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]
    lines = [f"| [`traintwice {name}`]({name}.md) | {_first(command.help)} |" for name, command in commands.items()]
    return {
        "command-line/index.md": INTRODUCTION + "\n".join(lines) + "\n",
        **{f"command-line/{name}.md": _page(name, command) for name, command in commands.items()},
    }


def _first(text: str | None) -> str:
    return _cell((text or "").strip().partition("\n\n")[0])


def _page(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    words = [p.name.upper() + ("..." if p.nargs == -1 else "") for p in arguments]
    usage = " ".join(["traintwice", name, *(["[OPTIONS]"] if options else []), *words])
    lines = [f"# traintwice {name}", "", f"```\n{usage}\n```", "", (command.help or "").strip().replace("\b\n", ""), ""]
    if arguments:
        lines += ["| argument | what it is |", "| --- | --- |"]
        lines += [f"| `{word}` | {_cell(p.help or '')} |" for word, p in zip(words, arguments, strict=True)]
        lines.append("")
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(option)
    for panel, members in panels.items():
        lines += [f"## {panel}", "", "| option | what it does | default |", "| --- | --- | --- |"]
        lines += [f"| {_names(option)} | {_cell(option.help or '')} | {_default(option)} |" for option in members]
        lines.append("")
    return "\n".join(lines)


def _names(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    return f"{names} {_cell(option.metavar or _kind(option.type_descriptor.annotation))}"


def _kind(annotation: Any) -> str:
    """What an option takes: the names of its choices, or a type."""
    if get_origin(annotation) is Literal:
        return " / ".join(f"`{choice}`" for choice in get_args(annotation))
    inner = [_kind(a) for a in get_args(annotation) if a is not type(None)]
    return " ".join(inner) if inner else getattr(annotation, "__name__", str(annotation)).upper()


def _default(option: Any) -> str:
    value = option.default
    if value in (None, False, (), [], "") or callable(value):
        return ""
    return f"`{_cell(str(getattr(value, 'value', value)))}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
