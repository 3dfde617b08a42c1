"""A command line's options as the texts that were given, and back: for another process to parse."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

_ARGUMENTS = "obswarm.arguments"


def remember_arguments(ctx: click.Context, arguments: Sequence[str]) -> None:
    """To be called before the arguments are parsed."""
    ctx.meta[_ARGUMENTS] = list(arguments)


def given_options(ctx: click.Context, without: Collection[str] = ()) -> dict[str, Any]:
    """What the command line and OBSWARM_* variables say, by the name of the parameter: a text, a list of them, or true
    for a flag. Parameters in `without` and positional arguments are left out."""
    parser = ctx.command.make_parser(ctx)
    given, _, _ = parser.parse_args(list(ctx.meta[_ARGUMENTS]))
    found: dict[str, Any] = {}
    for param in ctx.command.params:
        if not isinstance(param, click.Option) or param.name in without:
            continue
        value = given.get(param.name)
        if not (isinstance(value, str | bool) or (isinstance(value, list) and value)):
            # Not on the command line, for which versions of click have different marks.
            text = os.environ.get(str(param.envvar)) if param.envvar else None
            if not text:
                continue
            value = text.split() if param.multiple else text
        if param.is_flag:
            if value is True or str(value).lower() in ("1", "true", "t", "yes", "y", "on"):
                found[param.name] = True
        else:
            found[param.name] = value
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
