"""Decorators for options, which can also be set by environment variables (OBSWARM_*) and in obswarm.toml."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, get_args, get_origin

import click

from obswarm.cli.file_option import FileOption, SecretOption
from obswarm.config import SETTINGS, locust_conf, setting_text
from obswarm.redact import is_header_name, is_secret_name
from obswarm.stack import DEFAULT_PROJECT

_WITH_SECRETS = ("URL", "JSON", "VALUE")
"""Words in the metavar of options whose values may contain a URL with a password."""

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Return click.option with an environment variable named after the long option (--spawn-rate is OBSWARM_SPAWN_RATE)
    and a key in obswarm.toml; `settings` are those of FileOption."""
    long = next(name for name in names if name.startswith("--"))
    settings.setdefault("envvar", "OBSWARM_" + long.lstrip("-").split("/")[0].replace("-", "_").upper())
    settings.setdefault("show_envvar", False)
    metavar = settings.get("metavar") or ""
    is_secret = is_secret_name(long) or is_header_name(long) or any(word in metavar for word in _WITH_SECRETS)
    return click.option(*names, **{"cls": SecretOption if is_secret else FileOption, **settings})


shared_option = partial(option, shared=True)
"""An option with the same meaning in all commands that have it."""


def run_option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Return an option for a setting of RunConfig. Default, limits, choices, and whether it is a flag or repeatable
    come from the setting."""
    own = [name for name in names if not name.startswith("-")]
    long = next(name for name in names if name.startswith("--"))
    each = SETTINGS[own[0] if own else long.removeprefix("--").replace("-", "_")]
    if each.key in locust_conf.VARIABLES:
        # Locust's counts where ours is not set.
        settings.setdefault("envvar", [each.variable, *locust_conf.VARIABLES[each.key]])
    if each.type is bool:
        settings["is_flag"] = True
    elif get_origin(each.type) is tuple and get_args(each.type)[-1] is Ellipsis:
        settings["multiple"] = True
    if "type" not in settings and each.limits is not None:
        settings["type"] = (click.FloatRange if each.is_rate else click.IntRange)(*each.limits, min_open=each.is_rate)
    if "type" not in settings and each.choices is not None:
        settings["type"] = click.Choice(each.choices, case_sensitive=each.name != "loglevel")
    if each.default not in (None, (), False) and "default" not in settings:
        text = (
            each.default if isinstance(each.default, int) and not each.unit else setting_text(each.name, each.default)
        )
        settings |= {"default": text, "show_default": True}
    elif each.unset and "default" not in settings:
        settings["help"] += f"  [default: {each.unset}]"
    return option(*names, **{"shared": True, "adds": each.adds, "in_file": each.in_file, **settings})


def with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """Add options to a command, in the order in which --help shows them."""
    for each in reversed(options):
        command = each(command)
    return command


def project_option(command: Command) -> Command:
    """Add --project."""
    named: Callable[[Command], Command] = shared_option(
        "--project",
        metavar="NAME",
        default=DEFAULT_PROJECT,
        show_default=True,
        help="Name of the stack of `obswarm up`; several can run side by side.",
    )
    return named(command)


config_option = option(
    "--config",
    metavar="FILE",
    is_eager=True,
    in_file=False,
    help="Configuration file in TOML.  [default: obswarm.toml, or [tool.obswarm] in pyproject.toml]",
)
"""Eager, since the file may contain values of the other options."""
