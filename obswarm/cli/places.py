"""Errors of a command line that name the origin of a value: file and key, or the environment's variable."""

import re

import click
from click.core import ParameterSource

from obswarm.app.planning import UnknownOption
from obswarm.cli.file_option import FileOption
from obswarm.cli.locust_options import INSTEAD, INSTEAD_OF_MASTERS
from obswarm.cli.settings import place_of
from obswarm.errors import ObswarmError
from obswarm.nearest import nearest_names


def with_origin(error: Exception, ctx: click.Context | None) -> Exception:
    """Return an error with the origin of the value that it is about in place of the option, unless the value is from
    the command line. `ctx` is the context of the command; None if there was no command yet."""
    if isinstance(error, click.UsageError):
        ctx = error.ctx or ctx
    if ctx is None:
        return error
    if isinstance(error, UnknownOption):
        return _refusal(error, ctx)
    if isinstance(error, click.BadParameter):
        named = error.param.long if isinstance(error.param, FileOption) else str(error.param_hint)
        place = _place(named, ctx)
        # A value of the environment that cannot be parsed is named by FileOption.get_error_hint.
        is_named = error.param is not None and ctx.get_parameter_source(str(error.param.name)) is _ENVIRONMENT
        return error if place is None or is_named else ObswarmError(f"{place}: {error.message}")
    if isinstance(error, click.UsageError):
        text = _with_place(error.message, ctx)
        return error if text == error.message else ObswarmError(text)
    if error.args and isinstance(error.args[0], str):
        error.args = (_with_place(error.args[0], ctx), *error.args[1:])
    return error


_ENVIRONMENT, _FILE = ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP


def _place(long: str, ctx: click.Context) -> str | None:
    """Return the origin of an option's value: file and key, or a variable; None for the command line or a default."""
    for option in ctx.command.params:
        if isinstance(option, FileOption) and option.long == long:
            source = ctx.get_parameter_source(str(option.name))
            if source is _FILE:
                return place_of(ctx, option)
            return option.variable if source is _ENVIRONMENT else None
    return None


def _with_place(text: str, ctx: click.Context) -> str:
    """Replace the option with which a message begins by the origin of its value."""
    option = re.match(r"--[a-z-]+", text)
    place = _place(option[0], ctx) if option is not None else None
    return text if option is None or place is None else place + text[option.end() :]


def _refusal(error: UnknownOption, ctx: click.Context) -> click.UsageError:
    if error.option in INSTEAD:
        return click.UsageError(f"{error.option} is an option of Locust. {INSTEAD[error.option]}", ctx)
    if error.option in INSTEAD_OF_MASTERS:
        return click.UsageError(f"{error.option}: {INSTEAD_OF_MASTERS[error.option]}", ctx)
    known = [text for param in ctx.command.params for text in param.opts] + [*error.of_loadtest]
    return click.NoSuchOption(error.option, possibilities=nearest_names(error.option, known, 3), ctx=ctx)
