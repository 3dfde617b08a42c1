"""The commands of `obswarm` by name. The module of a command is imported when the command is called: to import those of
all commands takes several times as long as the shortest command itself."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from obswarm.errors import ObswarmError

_PLACES = "obswarm.places"


class CommandRow(NamedTuple):
    """Where a command is, and what lists of commands show of it."""

    place: str
    """Module below obswarm.cli, and the command's name in it."""
    short_help: str
    """The first sentence of the command's help."""
    hidden: bool = False


COMMANDS = {
    "run": CommandRow("run:run", "Run a load test."),
    "master": CommandRow("master:master", "Run a load test on workers of other machines."),
    "worker": CommandRow("worker:worker", "Run users for a master, and report statistics to it."),
    "runs": CommandRow("runs_show:runs", "List, show, tag, export and remove stored runs."),
    "report": CommandRow("report:report", "Write the report of a run as one HTML file that needs no network."),
    "compare": CommandRow("compare:compare", "Compare a run with an earlier one, BASE."),
    "targets": CommandRow("targets:targets", "Show the current metrics of the targets."),
    "alerts": CommandRow("alerts:alerts", "Test how a run reacts to alerts."),
    "up": CommandRow("up:up", "Start master, workers, Prometheus, Alertmanager and Grafana in Docker."),
    "down": CommandRow("stack:down", "Stop the stack and remove its containers and networks."),
    "status": CommandRow("stack:status", "Show the state of the stack's services."),
    "logs": CommandRow("stack:logs", "Print the logs of the stack's services, or only of each SERVICE."),
    "scale": CommandRow("stack:scale", "Change the number of worker containers."),
    "dashboards": CommandRow(
        "dashboards:dashboards",
        "Export dashboards and alert rules, or push dashboards to a Grafana.",
    ),
    "container-stats": CommandRow(
        "container_stats:container_stats",
        "Export the resource usage of labelled containers to Prometheus.",
    ),
    "demo": CommandRow("demo:demo", "Run a demo: a load test that overloads an embedded site."),
    "config": CommandRow("config:config", "Show the configuration of a run: every value and its origin."),
    "migrate": CommandRow("migrate:migrate", "Show how locustfiles look with obswarm's own names, as a diff."),
    "worker-process": CommandRow(
        "worker_process:worker_process",
        "Run one worker process of `obswarm worker --processes` or `obswarm run`, which starts it; ends with its"
        " parent.",
        hidden=True,
    ),
}
"""In the order in which obswarm.toml's errors list their keys. tests/cli/test_commands.py compares the texts with those
of the commands."""


class CommandsOnDemand(MutableMapping[str, click.Command]):
    """Commands by name, imported when they are first looked up."""

    def __init__(self, rows: Mapping[str, CommandRow]) -> None:
        self._rows = rows
        self._commands: dict[str, click.Command | None] = dict.fromkeys(rows)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            module, _, attribute = self._rows[name].place.partition(":")
            command = self._commands[name] = getattr(import_module(f"obswarm.cli.{module}"), attribute)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class RootCommand(click.Group):
    """The command `obswarm`, which lists its commands in help and completion without importing them.

    In errors of its commands that begin with an option, that is replaced by the key of obswarm.toml or the environment
    variable if the value is from there.
    """

    def __init__(self, name: str | None = None, *, rows: Mapping[str, CommandRow], **settings: Any) -> None:
        super().__init__(name, CommandsOnDemand(rows), **settings)
        shown = [click.Command(name, help=row.short_help, hidden=row.hidden) for name, row in rows.items()]
        self._shown = click.Group(commands=shown)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._shown.format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self._shown.list_commands(ctx) if name.startswith(incomplete)]
        commands = [self._shown.commands[name] for name in names]
        return [
            *(CompletionItem(each.name, help=each.get_short_help_str()) for each in commands if not each.hidden),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            place = places_of(ctx).get(str(error.param_hint))
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


def places_of(ctx: click.Context) -> dict[str, str]:
    """By long option: file and key, or the environment's variable, for values that are not from the command line."""
    found: dict[str, str] = ctx.meta.setdefault(_PLACES, {})
    return found


def _with_place(ctx: click.Context, text: str) -> str:
    option = re.match(r"--[a-z-]+", text)
    place = places_of(ctx).get(option[0]) if option is not None else None
    return text if option is None or place is None else place + text[option.end() :]
