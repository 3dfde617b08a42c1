"""Options of the command `locust` that obswarm's commands do not have: those that are taken without an effect, and
those that are refused, with what to use in place of each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from obswarm.cli.options import Command
from obswarm.streams import echo

INSTEAD = {
    "--expect-slaves": "It is --expect-workers since version 1 of Locust.",
    "--legacy-ui": "Leave it out.",
    "--slave": "It is --worker since version 1 of Locust.",
    "--web-login": "It is --web-auth USER:PASSWORD, or --web-token-file: the page then has a form to log in.",
}
"""Refused options, with a sentence for each."""

INSTEAD_OF_MASTERS = {
    "--processes": "A master has none of its own: leave --master out, or use `obswarm worker --processes`.",
    "--worker": "A process is a master or a worker; leave one of them out.",
    "--workers": "A master has none of its own: leave --master out, or use `obswarm worker --processes`.",
}
"""Options of `obswarm run` that are refused by masters, with a sentence for each."""


class _Row(NamedTuple):
    name: str
    is_flag: bool
    note: str
    """Why it has no effect; empty for what obswarm does anyway."""


_NO_PATH = "Put a proxy before the port of --web-port that changes paths or names."
_OF_RUN = "It is an option of `obswarm run`, whose page starts runs."
_FOR_MASTER = "It is for masters: --master, or the command `obswarm master`."
_FOR_WORKER = "It is for workers: --worker, or the command `obswarm worker`."

_EVERYWHERE = (
    _Row("--headful", True, ""),
    _Row("--enable-rebalancing", True, ""),
    _Row("--class-picker", True, ""),
    _Row("--web-base-path", False, _NO_PATH),
    _Row("--web-host-display-name", False, _NO_PATH),
    _Row("--build-path", False, "The page is that of obswarm."),
    _Row("--master-host", False, _FOR_WORKER),
    _Row("--master-port", False, _FOR_WORKER),
)
_OF_MASTERS = (
    _Row("--expect-workers", False, _FOR_MASTER),
    _Row("--expect-workers-max-wait", False, _FOR_MASTER),
    _Row("--master-bind-host", False, _FOR_MASTER),
    _Row("--master-bind-port", False, _FOR_MASTER),
)

_OF_RUNS = (_Row("--autostart", True, _OF_RUN), _Row("--autoquit", False, _OF_RUN))
"""Taken by masters."""

WITHOUT_EFFECT = {row.name: row.note for row in (*_EVERYWHERE, *_OF_MASTERS)}
"""Notes on the options that are taken without an effect."""


def locust_options(command: Command) -> Command:
    """Add the options that have no effect in any command."""
    return _with_rows(command, _EVERYWHERE)


def locust_run_options(command: Command) -> Command:
    """Add the options that have no effect in a command that does not start runs from the page."""
    return _with_rows(command, _OF_RUNS)


def locust_master_options(command: Command) -> Command:
    """Add the options that have no effect in a command that is no master."""
    return _with_rows(command, _OF_MASTERS)


def _with_rows(command: Command, rows: tuple[_Row, ...]) -> Command:
    for row in rows:
        settings: dict[str, Any] = {"is_flag": True} if row.is_flag else {}
        add: Callable[[Command], Command] = click.option(
            row.name, hidden=True, expose_value=False, callback=_noting(row), **settings
        )
        command = add(command)
    return command


def _noting(row: _Row) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value and row.note:
            echo(f"Note: {row.name} of Locust has no effect. {row.note}", err=True)

    return note
