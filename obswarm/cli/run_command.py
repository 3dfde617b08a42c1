"""The base of all commands that run a load test."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from obswarm.api import TaskSet, User, events, make_parser
from obswarm.app.planning import load_test
from obswarm.cli.settings import TopLevelCommand
from obswarm.config import RunConfig
from obswarm.engine import load
from obswarm.sanitize import escape_lines
from obswarm.streams import echo

_INDENT = "  "


class LoadTestCommand(TopLevelCommand):
    """A command with a load-test file. Its --help, with a file, also lists the options that the load test defines."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        arguments = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
        if not arguments or not Path(arguments[0]).is_file():
            return
        load([Path(arguments[0])])
        listing = make_parser(events, arguments[0]).format_help().partition("options:")[2]
        if listing:
            formatter.write(escape_lines(f"\nOptions of {arguments[0]}:{listing}"))


def load_test_command(**settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Return click.command for a command that takes a load-test file, user classes, and the load test's options."""
    return click.command(
        cls=LoadTestCommand,
        context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
        options_metavar="[OPTIONS]",
        **settings,
    )


arguments_argument = click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FILE] [USER]...")


def listed(ctx: click.Context, config: RunConfig) -> bool:
    """Print what --list, --show-task-ratio or --show-task-ratio-json requests; returns False without any of them."""
    if ctx.params["list_users"]:
        for cls in load_test(config).loadtest.user_classes:
            echo(cls.__name__)
    elif ctx.params["show_task_ratio_json"]:
        from obswarm.locust.user.inspectuser import print_task_ratio_json

        print_task_ratio_json(load_test(config).user_classes(config), config.load.users)
    elif ctx.params["show_task_ratio"]:
        _print_task_ratio(load_test(config).user_classes(config))
    else:
        return False
    return True


def _print_task_ratio(classes: Sequence[type[User]]) -> None:
    """Print how often each task will run, as two trees: shares within a class, and shares among all users by the
    classes' weights."""
    echo("Task ratio per user class")
    for cls in classes:
        _print_tasks(cls, 1.0, 1)
    total = sum(cls.fixed_count or cls.weight for cls in classes)
    echo("")
    echo("Task ratio over all users (weights; fixed counts as weights)")
    for cls in classes:
        _print_tasks(cls, (cls.fixed_count or cls.weight) / total, 1)


def _print_tasks(owner: Any, share: float, depth: int) -> None:
    echo(f"{_INDENT * depth}{share:6.1%}  {owner.__name__}")
    tasks = getattr(owner, "tasks", [])
    for entry, count in Counter(tasks).items():
        part = share * count / len(tasks)
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            _print_tasks(entry, part, depth + 1)
        else:
            echo(f"{_INDENT * (depth + 1)}{part:6.1%}  {getattr(entry, '__name__', repr(entry))}")
