"""Where the values of a command line are from, for messages about them."""

import re

import click

_PLACES = "obswarm.places"


def places_of(ctx: click.Context) -> dict[str, str]:
    """By long option: file and key, or the environment's variable, for values that are not from the command line."""
    found: dict[str, str] = ctx.meta.setdefault(_PLACES, {})
    return found


def with_place(ctx: click.Context, text: str) -> str:
    """Replace the option with which a message begins by the place of its value."""
    option = re.match(r"--[a-z-]+", text)
    place = places_of(ctx).get(option[0]) if option is not None else None
    return text if option is None or place is None else place + text[option.end() :]
