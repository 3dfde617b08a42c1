"""Options that obswarm.toml may give as well: command line over environment over file over default.

The key in the file is the long option's name with underscores. At the top level stand the options of the commands that
run load tests; a table that is named after another command has that command's.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import click
from click.core import ParameterSource

from obswarm.api import ObswarmError
from obswarm.cli.settings_file import KEYS, Document, current_folder, read_document
from obswarm.cli.streams import say
from obswarm.redact import remember

_DOCUMENT = "obswarm.document"
_GIVEN = "obswarm.given"
_PLACES = "obswarm.places"
_NO_ENVIRONMENT = "obswarm.no_environment"
_RANKS = {ParameterSource.DEFAULT_MAP: 1, ParameterSource.ENVIRONMENT: 2, ParameterSource.COMMANDLINE: 3}


class FileOption(click.Option):
    """`shared`: what the top level of the file says holds for this option of any command. `in_file`: whether the file
    may have it. `adds`: the file's are not replaced by those of the command line, but come before them; whoever reads
    the file takes them from there (obswarm.cli.settings). `excludes`: options that make no sense together with it, by
    parameter name."""

    def __init__(
        self,
        *names: Any,
        shared: bool = False,
        in_file: bool = True,
        adds: bool = False,
        excludes: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*names, **settings)
        self.shared = shared
        self.in_file = in_file
        self.adds = adds
        self.excludes = tuple(excludes)
        self.long = next(name for name in self.opts if name.startswith("--"))

    @property
    def key(self) -> str:
        """In the file."""
        return self.long.removeprefix("--").replace("-", "_")

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return None if ctx.meta.get(_NO_ENVIRONMENT) else super().resolve_envvar_value(ctx)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        if source not in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            found = _of_the_file(ctx, self)
            if found is None:
                return value, source
            value, source = found, ParameterSource.DEFAULT_MAP
        _given(ctx)[str(self.name)] = value
        # Before it is read, which may fail with a message that has it.
        remember(self.long, value)
        places: dict[str, str] = ctx.meta.setdefault(_PLACES, {})
        places.pop(self.long, None)
        if source is ParameterSource.DEFAULT_MAP:
            places[self.long] = _place(ctx, self)
        elif source is ParameterSource.ENVIRONMENT:
            places[self.long] = str(self.envvar)
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            source = ctx.get_parameter_source(str(self.name))
            if source is ParameterSource.DEFAULT_MAP:
                raise ObswarmError(f"{_place(ctx, self)}: {error.message}") from None
            if source is ParameterSource.ENVIRONMENT:
                error.param_hint = f"{self.envvar} (environment)"
            raise

    @cached_property
    def takes_numbers(self) -> bool:
        """Whether the file may have a number where the command line has a text: where numbers alone parse."""
        return any(self._parses(text) for text in ("2", "0.01")) and not self._parses("x")

    def _parses(self, text: str) -> bool:
        try:
            self.type.convert(text, self, None)
        except click.BadParameter:
            return False
        return True

    def check_toml(self, ctx: click.Context, where: str, value: Any) -> None:
        """Raises ObswarmError for a value that the option does not take, whether or not it is used now."""
        if self.adds:
            list_of_texts(where, value)
        given = self.from_toml(where, value)
        try:
            self.type_cast_value(ctx, given)
        except click.BadParameter as error:
            raise ObswarmError(f"{where}: {error.message}") from None

    def from_toml(self, where: str, value: Any) -> Any:
        """A value of the file as the command line would give it. Raises ObswarmError for one of the wrong type."""
        if self.is_flag:
            if not isinstance(value, bool):
                raise ObswarmError(f"{where} is {_kind(value)}; it has to be true or false.")
            return value
        if self.multiple:
            values = value if isinstance(value, list) else [value]
            return [self._text(where, each, "a list of texts") for each in values]
        return self._text(where, value, "a whole number" if isinstance(self.type, click.types.IntParamType) else "")

    def _text(self, where: str, value: Any, expected: str) -> str:
        if isinstance(self.type, click.types.IntParamType):
            accepted: tuple[type, ...] = (int,)
        elif self.takes_numbers:
            accepted, expected = (str, int, float), expected or "a text or a number"
        else:
            accepted, expected = (str,), expected or "a text"
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise ObswarmError(f"{where} is {_kind(value)}; it has to be {expected}.")
        return str(value)


class RootCommand(click.Group):
    """Its commands' errors that begin with the name of an option name where its value came from instead, if that is the
    file or the environment: who reads them has typed no option."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            place = _places(ctx).get(str(error.param_hint))
            if place is None:
                raise
            raise ObswarmError(f"{place}: {error.message}") from None
        except click.UsageError as error:
            text = _with_place(ctx, error.message)
            if text == error.message:
                raise
            raise ObswarmError(text) from None
        except ObswarmError as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (_with_place(ctx, error.args[0]), *error.args[1:])
            raise


def _places(ctx: click.Context) -> dict[str, str]:
    """By long option: file and key, or the environment's variable, for values that did not come from elsewhere."""
    found: dict[str, str] = ctx.meta.get(_PLACES, {})
    return found


def _with_place(ctx: click.Context, text: str) -> str:
    option = re.match(r"--[a-z-]+", text)
    place = _places(ctx).get(option[0]) if option is not None else None
    return text if option is None or place is None else place + text[option.end() :]


class SectionCommand(click.Command):
    """A command that has a table of its own in the file."""


class TopLevelCommand(click.Command):
    """A command whose options stand at the top level of the file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        left = super().parse_args(ctx, args)
        for option in options_of(self):
            for name in option.excludes:
                _exclude(ctx, option, name)
        return left


def options_of(command: click.Command) -> Iterator[FileOption]:
    """Those that the file may give."""
    for param in command.params:
        if isinstance(param, FileOption) and param.in_file:
            yield param


def top_level_options(root: click.Command) -> dict[str, FileOption]:
    """By key: of the commands that run load tests, and what other commands share with them."""
    found: dict[str, FileOption] = {}
    for command in commands_of(root):
        for option in options_of(command):
            if option.shared or isinstance(command, TopLevelCommand):
                found.setdefault(option.key, option)
    return found


def sections_of(root: click.Command) -> dict[str, dict[str, FileOption]]:
    """The options of the tables that are named after commands."""
    return {
        str(command.name): {option.key: option for option in options_of(command)}
        for command in commands_of(root)
        if isinstance(command, SectionCommand)
    }


def commands_of(root: click.Command) -> Iterator[click.Command]:
    """It and all below it."""
    yield root
    for command in root.commands.values() if isinstance(root, click.Group) else ():
        yield from commands_of(command)


def given_options(ctx: click.Context, without: Sequence[str] = (), of_file: bool = True) -> dict[str, Any]:
    """What command line, environment and, with `of_file`, the file say, as it was given and by the name of the
    parameter: a text, a list of them, or a truth value for a flag. Lists that add to the file's are the command line's
    alone."""
    given = _given(ctx)
    found = {}
    for option in ctx.command.params:
        name = str(option.name)
        if not isinstance(option, FileOption) or name not in given or name in without:
            continue
        if not of_file and ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP:
            continue
        value = given[name]
        if option.is_flag and isinstance(value, str):
            value = bool(click.BOOL(value))
        found[name] = list(value) if isinstance(value, list | tuple) else value
    return found


def as_arguments(command: click.Command, options: Mapping[str, Any]) -> list[str]:
    """The command line that says so. Options that the command does not have are left out."""
    arguments: list[str] = []
    for param in command.params:
        if not isinstance(param, click.Option) or param.name not in options:
            continue
        long = max(param.opts, key=len)
        value = options[param.name]
        if param.is_flag:
            arguments += [long] if value else []
        else:
            arguments += [f"{long}={text}" for text in (value if isinstance(value, list | tuple) else [value])]
    return arguments


def forget_given(ctx: click.Context, name: str) -> None:
    """An option is left at its default, whatever was said: something else that was said is nearer."""
    option = next(param for param in ctx.command.params if param.name == name)
    default = option.get_default(ctx)
    if isinstance(default, str | int | float):
        ctx.params[name] = option.type_cast_value(ctx, default)
    else:
        ctx.params[name] = () if isinstance(option, click.Option) and option.multiple else None
    ctx.set_parameter_source(name, ParameterSource.DEFAULT)
    _given(ctx).pop(name, None)
    if isinstance(option, FileOption):
        _places(ctx).pop(option.long, None)


def forget_shared_values(ctx: click.Context) -> None:
    """Let commands that are parsed from now on take nothing from the environment, and nothing from the file that
    `obswarm run` could have said."""
    ctx.meta[_NO_ENVIRONMENT] = True
    document = _document(ctx)
    if document is not None:
        shared = {option.key for option in options_of(ctx.command) if option.shared}
        kept = {key: value for key, value in document.values.items() if key not in shared}
        ctx.meta[_DOCUMENT] = Document(document.path, kept)


def rank_of(ctx: click.Context, name: str) -> int:
    """How near the source of an option's value is: 0 for a default, the most for the command line."""
    source = ctx.get_parameter_source(name)
    return _RANKS.get(source, 0) if source is not None else 0


def label_of(ctx: click.Context, name: str) -> str:
    """An option as its source calls it: `--users`, `OBSWARM_USERS`, `users in obswarm.toml`."""
    option = next((param for param in ctx.command.params if param.name == name), None)
    if not isinstance(option, FileOption):
        return "--" + name.replace("_", "-")
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    document = _document(ctx) if source is ParameterSource.DEFAULT_MAP else None
    return option.long if document is None else f"{option.key} in {document.path}"


def check_keys(where: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises ObswarmError that names the first key that is none."""
    for key in values:
        if key not in known:
            nearest = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            hint = f" Did you mean {nearest[0]}?" if nearest else f" Known are {', '.join(sorted(known))}."
            raise ObswarmError(f"{where}there is no {key!r}.{hint}")


def _given(ctx: click.Context) -> dict[str, Any]:
    """By parameter name. A context shares its `meta` with its parent, and so with others of the same command."""
    found: dict[str, Any] = ctx.meta.setdefault(f"{_GIVEN}.{id(ctx)}", {})
    return found


def _exclude(ctx: click.Context, option: FileOption, name: str) -> None:
    """Of two options that exclude each other the nearer one counts; raises click's error when they are equally near."""
    own, other = str(option.name), name
    if any(rank_of(ctx, each) == 0 or ctx.params.get(each) in (None, False, ()) for each in (own, other)):
        return
    difference = rank_of(ctx, own) - rank_of(ctx, other)
    if difference == 0:
        raise click.UsageError(
            f"{label_of(ctx, own)} and {label_of(ctx, other)} exclude each other; leave one of them out.", ctx
        )
    nearer, farther = (own, other) if difference > 0 else (other, own)
    say(f"Note: {label_of(ctx, farther)} is not used, because of {label_of(ctx, nearer)}.", err=True)
    forget_given(ctx, farther)


def _document(ctx: click.Context) -> Document | None:
    """Read once for a command line, with its keys checked."""
    if _DOCUMENT not in ctx.meta:
        named = ctx.params.get("config")
        # Some versions of click have a mark of their own there as long as they parse.
        document = read_document(named if isinstance(named, str) else None, current_folder())
        if document is not None:
            _check_document(ctx.find_root(), document)
        ctx.meta[_DOCUMENT] = document
    found: Document | None = ctx.meta[_DOCUMENT]
    return found


def _check_document(ctx: click.Context, document: Document) -> None:
    """All of it, whichever command reads it, and whatever the command line says instead."""
    options, sections = top_level_options(ctx.command), sections_of(ctx.command)
    check_keys(document.where, document.values, [*options, *KEYS, *sections])
    _check_values(ctx, document.where, document.values, options)
    for name, own in sections.items():
        values = document.values.get(name, {})
        if not isinstance(values, dict):
            raise ObswarmError(f"{document.where}{name} is {_kind(values)}; it has to be a table, [{name}].")
        where = f"{document.where}[{name}] "
        check_keys(where, values, list(own))
        _check_values(ctx, where, values, own)


def _check_values(ctx: click.Context, where: str, values: Mapping[str, Any], options: Mapping[str, FileOption]) -> None:
    for key, value in values.items():
        if key in options:
            options[key].check_toml(ctx, f"{where}{key}", value)


def list_of_texts(where: str, value: Any) -> tuple[str, ...]:
    """Raises ObswarmError when it is none."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ObswarmError(f"{where} has to be a list of texts.")
    return tuple(value)


def _of_the_file(ctx: click.Context, option: FileOption) -> Any:
    """What the file says, as the command line would; None when it says nothing."""
    if not option.in_file or option.adds:
        return None
    document = _document(ctx)
    if document is None:
        return None
    values = _values(ctx, option, document)
    return option.from_toml(_place(ctx, option), values[option.key]) if option.key in values else None


def _values(ctx: click.Context, option: FileOption, document: Document) -> Mapping[str, Any]:
    section = document.values.get(str(ctx.command.name)) if isinstance(ctx.command, SectionCommand) else None
    if isinstance(section, dict) and option.key in section:
        return section
    return document.values if option.shared or isinstance(ctx.command, TopLevelCommand) else {}


def _place(ctx: click.Context, option: FileOption) -> str:
    document = _document(ctx)
    assert document is not None
    section = "" if _values(ctx, option, document) is document.values else f"[{ctx.command.name}] "
    return f"{document.where}{section}{option.key}"


def _kind(value: Any) -> str:
    """Not the value, which may be a secret."""
    names = ((bool, "true or false"), (str, "a text"), ((int, float), "a number"), (list, "a list"), (dict, "a table"))
    return next((name for kind, name in names if isinstance(value, kind)), "a date or a time")
