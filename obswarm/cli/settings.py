"""Options in obswarm.toml: the keys of each command, the value of an option, and checks of the file."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import click

from obswarm.api import ObswarmError
from obswarm.config import FileConfig, check_keys, file_config
from obswarm.config.toml_file import KEYS, Document, current_folder, read_document

_DOCUMENT = "obswarm.document"


class TomlOption(Protocol):
    """An option with a key in the file; see obswarm.cli.file_option."""

    long: str
    shared: bool
    in_file: bool
    adds: bool

    @property
    def key(self) -> str: ...

    @property
    def variable(self) -> str: ...

    def from_toml(self, where: str, value: Any) -> Any: ...

    def check_toml(self, ctx: click.Context, where: str, value: Any) -> None: ...


class SectionCommand(click.Command):
    """A command whose options are in a table of the file, named after the command."""


class TopLevelCommand(click.Command):
    """A command whose options are at the top level of the file."""


def options_of(command: click.Command) -> Iterator[TomlOption]:
    """Return the command's options with a key in the file."""
    for param in command.params:
        if getattr(param, "in_file", False):
            yield cast(TomlOption, param)


def top_level_options(root: click.Command) -> dict[str, TomlOption]:
    """Return the options of the file's top level by key: those of commands that run load tests, and shared ones."""
    found: dict[str, TomlOption] = {}
    for command in commands_of(root):
        for option in options_of(command):
            if option.shared or isinstance(command, TopLevelCommand):
                found.setdefault(option.key, option)
    return found


def sections_of(root: click.Command) -> dict[str, dict[str, TomlOption]]:
    """Return the options of the tables that are named after commands, by table and key."""
    return {
        str(command.name): {option.key: option for option in options_of(command)}
        for command in commands_of(root)
        if isinstance(command, SectionCommand)
    }


def commands_of(root: click.Command) -> Iterator[click.Command]:
    """Return a command and all its subcommands."""
    yield root
    for command in root.commands.values() if isinstance(root, click.Group) else ():
        yield from commands_of(command)


def file_config_of(ctx: click.Context) -> FileConfig:
    """Return the values of the file that are not options. Raises ObswarmError."""
    return file_config(_document(ctx), ctx.params.get("config") is not None)


def file_value(ctx: click.Context, option: TomlOption) -> Any:
    """Return the file's value of an option in the form of the command line; None if it has none."""
    if not option.in_file or option.adds:
        return None
    document = _document(ctx)
    if document is None:
        return None
    values = _values(ctx, option, document)
    return option.from_toml(place_of(ctx, option), values[option.key]) if option.key in values else None


def file_label(ctx: click.Context, option: TomlOption) -> str:
    """Return the name of a file's option for use in a sentence: `users in obswarm.toml`."""
    document = _document(ctx)
    return option.long if document is None else f"{option.key} in {document.path_of(option.key)}"


def place_of(ctx: click.Context, option: TomlOption) -> str:
    """Return file and key of an option, the beginning of an error message: `obswarm.toml: users`."""
    document = _document(ctx)
    assert document is not None
    section = "" if _values(ctx, option, document) is document.values else f"[{ctx.command.name}] "
    return f"{document.where_of(option.key)}{section}{option.key}"


def _document(ctx: click.Context) -> Document | None:
    """Return the file, which is read and checked once for each command line."""
    if _DOCUMENT not in ctx.meta:
        named = ctx.params.get("config")
        # Some versions of click store a sentinel object while they parse.
        document = read_document(named if isinstance(named, str) else None, current_folder())
        if document is not None:
            _check_document(ctx.find_root(), document)
        ctx.meta[_DOCUMENT] = document
    found: Document | None = ctx.meta[_DOCUMENT]
    return found


def _check_document(ctx: click.Context, document: Document) -> None:
    """Check the whole file, including keys of other commands and keys that the command line overrides."""
    options, sections = top_level_options(ctx.command), sections_of(ctx.command)
    check_keys(document.where, document.values, [*options, *KEYS, *sections])
    for key, value in document.values.items():
        _check_values(ctx, document.where_of(key), {key: value}, options)
    for name, own in sections.items():
        values = document.values.get(name, {})
        if not isinstance(values, dict):
            raise ObswarmError(f"{document.where}{name} is {kind_of(values)}; it has to be a table, [{name}].")
        where = f"{document.where}[{name}] "
        check_keys(where, values, list(own))
        _check_values(ctx, where, values, own)


def _check_values(ctx: click.Context, where: str, values: Mapping[str, Any], options: Mapping[str, TomlOption]) -> None:
    for key, value in values.items():
        if key in options:
            options[key].check_toml(ctx, f"{where}{key}", value)


def _values(ctx: click.Context, option: TomlOption, document: Document) -> Mapping[str, Any]:
    section = document.values.get(str(ctx.command.name)) if isinstance(ctx.command, SectionCommand) else None
    if isinstance(section, dict) and option.key in section:
        return section
    return document.values if option.shared or isinstance(ctx.command, TopLevelCommand) else {}


def kind_of(value: Any) -> str:
    """Return the type of a value of the file, in words; not the value itself, which may be a secret."""
    names = ((bool, "true or false"), (str, "a text"), ((int, float), "a number"), (list, "a list"), (dict, "a table"))
    return next((name for kind, name in names if isinstance(value, kind)), "a date or a time")
