"""The commands of `obswarm` by name. The module of a command is imported when the command is called: to import those of
all commands takes several times as long as the shortest command itself."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class CommandRow(NamedTuple):
    """Where a command is, and what lists of commands show of it."""

    place: str
    """Module below obswarm.cli, and the command's name in it."""
    short_help: str
    """The first sentence of the command's help."""
    runs_load_tests: bool = False
    """Whether it takes a load-test file, and Locust's forms of options."""


COMMANDS = {
    "demo": CommandRow("demo:demo", "Run a demo: a load test that overloads an embedded site."),
    "run": CommandRow("run:run", "Run a load test.", runs_load_tests=True),
    "find-limit": CommandRow(
        "find_limit:find_limit", "Find the highest load that meets the requirements.", runs_load_tests=True
    ),
    "config": CommandRow("config:config", "Show the settings of a run, and their origins.", runs_load_tests=True),
    "master": CommandRow("master:master", "Run a load test on workers of other machines.", runs_load_tests=True),
    "worker": CommandRow("worker:worker", "Run users for a master, and report statistics to it."),
    "runs": CommandRow("runs_show:runs", "List, show, tag, export and remove stored runs."),
    "report": CommandRow("report:report", "Write the report of a run as one HTML file."),
    "explain": CommandRow("explain:explain", "Explain what saturated first in a run."),
    "compare": CommandRow("compare:compare", "Compare a run with an earlier one, BASE."),
    "ctl": CommandRow("ctl:ctl", "Show and control a run through its server."),
    "mcp": CommandRow("mcp:mcp", "Serve tools for assistants by the Model Context Protocol."),
    "targets": CommandRow("targets:targets", "Show the current metrics of the targets."),
    "alerts": CommandRow("alerts:alerts", "Test how a run reacts to alerts."),
    "up": CommandRow("up:up", "Start a stack: master, workers and Grafana in Docker."),
    "down": CommandRow("stack:down", "Stop the stack of `obswarm up`."),
    "status": CommandRow("stack:status", "Show the state of the stack's services."),
    "logs": CommandRow("stack:logs", "Print the logs of the stack's services."),
    "scale": CommandRow("stack:scale", "Change the number of worker containers."),
    "k8s": CommandRow("kubernetes:k8s", "Run a master and workers on Kubernetes, without Helm."),
    "dashboards": CommandRow(
        "dashboards:dashboards",
        "Export the dashboards, or push them to a Grafana.",
    ),
    "container-stats": CommandRow(
        "container_stats:container_stats",
        "Export the resource usage of containers to Prometheus.",
    ),
    "migrate": CommandRow("migrate:migrate", "Show a locustfile with obswarm's own names, as a diff."),
}
"""In the order of `obswarm --help`, and of the keys that errors of obswarm.toml list. tests/cli/test_commands.py
compares the texts with those of the commands."""


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


class _InOrder(click.Group):
    """Lists its commands in the order in which they were given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


class RootCommand(click.Group):
    """The command `obswarm`, which lists its commands in help and completion without importing them."""

    def __init__(self, name: str | None = None, *, rows: Mapping[str, CommandRow], **settings: Any) -> None:
        super().__init__(name, CommandsOnDemand(rows), **settings)
        shown = [click.Command(name, help=row.short_help) for name, row in rows.items()]
        self._shown = _InOrder(commands=shown)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._shown.format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self._shown.list_commands(ctx) if name.startswith(incomplete)]
        commands = [self._shown.commands[name] for name in names]
        return [
            *(CompletionItem(each.name, help=each.get_short_help_str()) for each in commands),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]
