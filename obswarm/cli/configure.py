"""Origins of click's values: resolves options that exclude each other by the precedence of their sources, and labels
each value with its source for messages."""

import math

import click
from click.core import ParameterSource

from obswarm.cli.file_option import FileOption
from obswarm.cli.settings import file_label
from obswarm.config import SETTINGS, Origin, Source
from obswarm.streams import echo

_SOURCES = {
    ParameterSource.DEFAULT_MAP: Source.FILE,
    ParameterSource.ENVIRONMENT: Source.ENVIRONMENT,
    ParameterSource.COMMANDLINE: Source.COMMAND_LINE,
}


def resolve_precedence(ctx: click.Context) -> None:
    """Reset options that exclude each other, but for the one of the highest precedence, and a configured load test if
    the command line names another one. Raises click.UsageError if two have the same precedence."""
    named = any(text.endswith(".py") and not text.startswith("-") for text in ctx.params.get("arguments", ()))
    if named and _source_of(ctx, "files") is not Source.COMMAND_LINE:
        _forget(ctx, "files")
    for each in SETTINGS.values():
        for other in each.excludes:
            if each.name in ctx.params and other in ctx.params:
                _exclude(ctx, each.name, other)


def check_numbers(ctx: click.Context) -> None:
    """Raise click.BadParameter for a number that is not finite, which click's ranges let pass."""
    for name, value in ctx.params.items():
        if name in SETTINGS and isinstance(value, float) and not math.isfinite(value):
            raise click.BadParameter(f"{value} is not a finite number.", ctx, _option(ctx, name))


def origins_of(ctx: click.Context) -> dict[str, Origin]:
    """Return the origins of all settings that were given, by the name of the setting."""
    given = [name for name in SETTINGS if name in ctx.params and _is_given(ctx, name)]
    return {name: Origin(_source_of(ctx, name), _label_of(ctx, name)) for name in given}


def _forget(ctx: click.Context, name: str) -> None:
    """Reset an option to its default, because a value of higher precedence replaces it."""
    ctx.params[name] = SETTINGS[name].default
    ctx.set_parameter_source(name, ParameterSource.DEFAULT)


def _exclude(ctx: click.Context, own: str, other: str) -> None:
    """Reset the one of two mutually exclusive options that has the lower precedence. Raises click.UsageError if both
    have the same."""
    if any(not _is_given(ctx, each) or ctx.params[each] in (None, False, ()) for each in (own, other)):
        return
    ranks = _source_of(ctx, own).value, _source_of(ctx, other).value
    if ranks[0] == ranks[1]:
        raise click.UsageError(
            f"{_label_of(ctx, own)} and {_label_of(ctx, other)} exclude each other; leave one of them out.", ctx
        )
    nearer, farther = (own, other) if ranks[0] > ranks[1] else (other, own)
    echo(f"Note: {_label_of(ctx, farther)} is not used, because of {_label_of(ctx, nearer)}.", err=True)
    _forget(ctx, farther)


def _is_given(ctx: click.Context, name: str) -> bool:
    return _source_of(ctx, name) is not Source.DEFAULT and (bool(ctx.params[name]) or name != "arguments")


def _source_of(ctx: click.Context, name: str) -> Source:
    source = ctx.get_parameter_source(name)
    return _SOURCES.get(source, Source.DEFAULT) if source is not None else Source.DEFAULT


def _label_of(ctx: click.Context, name: str) -> str:
    if not SETTINGS[name].option:
        return name
    option, source = _option(ctx, name), _source_of(ctx, name)
    if source is Source.ENVIRONMENT:
        return option.variable
    return file_label(ctx, option) if source is Source.FILE else option.long


def _option(ctx: click.Context, name: str) -> FileOption:
    return next(each for each in ctx.command.params if isinstance(each, FileOption) and each.name == name)
