"""The table of commands: it shows what the commands themselves would, and imports only the one that is called."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from obswarm.cli.commands import COMMANDS, _InOrder
from obswarm.cli.main import cli
from tests.support.patience import HANG_S
from tests.support.programs import ROOT

_WIDE = 10_000


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_short_help_of_each_command(name: str) -> None:
    command = cli.commands[name]
    assert COMMANDS[name].short_help == command.get_short_help_str(_WIDE)
    assert not command.hidden


def test_the_table_has_every_command_of_the_package() -> None:
    """But for the root command, and those below another command."""
    modules = [import_module(f"obswarm.cli.{file.stem}") for file in (ROOT / "obswarm" / "cli").glob("*.py")]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, click.Command)]
    groups = [each for each in found if isinstance(each, click.Group) and each is not cli]
    below = [each for group in groups for each in group.commands.values()]
    assert {id(each) for each in found} - {id(each) for each in (cli, *below)} == {
        id(each) for each in cli.commands.values()
    }


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_is_that_of_a_group_with_the_commands_themselves(width: int) -> None:
    plain = _InOrder("obswarm", dict(cli.commands))
    texts = []
    for group in (cli, plain):
        ctx = click.Context(group)
        formatter = click.HelpFormatter(width=width)
        group.format_commands(ctx, formatter)
        texts.append(formatter.getvalue())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("incomplete", ["", "r", "work", "--", "nothing"])
def test_completion_is_that_of_a_group_with_the_commands_themselves(incomplete: str) -> None:
    plain = _InOrder("obswarm", dict(cli.commands), params=cli.params)
    offered = [
        [(item.value, item.help) for item in ShellComplete(group, {}, "obswarm", "_").get_completions([], incomplete)]
        for group in (cli, plain)
    ]
    assert offered[0] == offered[1]


def test_options_of_a_command_are_completed() -> None:
    found = ShellComplete(cli, {}, "obswarm", "_OBSWARM_COMPLETE").get_completions(["run"], "--spawn")
    assert [item.value for item in found] == ["--spawn-rate"]


def test_a_mistyped_command_is_told_the_nearest_one() -> None:
    told = CliRunner().invoke(cli, ["compair"])
    assert told.exit_code == 2
    assert "Did you mean" in told.output
    assert "compare" in told.output


def test_a_command_below_another_one_is_found() -> None:
    assert "Show a stored run" in CliRunner().invoke(cli, ["runs", "show", "--help"]).output


@pytest.mark.parametrize("arguments", [[], ["alerts"], ["dashboards"], ["runs"]])
def test_lists_of_commands_have_whole_sentences_on_a_terminal_of_80_columns(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli, [*arguments, "--help"], terminal_width=80).output
    listed = shown.partition("Commands:")[2]
    assert len(listed.splitlines()) > 1
    assert "..." not in listed


def modules_of(*arguments: str, folder: Path) -> set[str]:
    """The modules that the command has imported when it ends."""
    script = "import sys; sys.argv[0] = 'obswarm'\nfrom obswarm.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True, timeout=120, cwd=folder
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], {"obswarm.engine", "obswarm.api", "obswarm.config", "rich", "requests", "zmq"}),
        (["--help"], {"obswarm.engine", "obswarm.api", "obswarm.cli.run", "rich", "requests", "zmq"}),
        (
            ["worker-process", "--help"],
            {"obswarm.config.tables", "obswarm.report", "jinja2", "google.protobuf", "rich", "sqlite3", "click"},
        ),
        (["run", "--help"], {"obswarm.cli.up", "docker", "jinja2", "promql_parser", "obswarm.web.client", "rich"}),
    ],
)
def test_a_command_imports_nothing_that_only_others_need(
    arguments: list[str], absent: set[str], tmp_path: Path
) -> None:
    modules = modules_of(*arguments, folder=tmp_path)
    assert "obswarm.cli.process" in modules
    assert not absent & modules


@pytest.mark.parametrize(("workers", "library"), [("0", "obswarm"), ("1", "locust")])
def test_the_process_that_shows_a_run_imports_no_client_and_no_format_that_is_not_used(
    workers: str, library: str, tmp_path: Path
) -> None:
    load_test = tmp_path / "load_test.py"
    load_test.write_text(
        f"from {library} import FastHttpUser, HttpUser, User, constant, task\n"
        "class Visitor(FastHttpUser):\n    abstract = True\n"
        "class Reader(HttpUser):\n    abstract = True\n"
        "class Idle(User):\n    wait_time = constant(0.1)\n    @task\n    def page(self): ...\n"
    )
    options = ("-t", "1s", "--headless", "--no-report", "--no-store", "--workers", workers)
    modules = modules_of("run", str(load_test), *options, folder=tmp_path)
    assert "obswarm.web.server" in modules
    unused = {"requests", "urllib3", "obswarm.http.client.session", "xml", "importlib.metadata", "importlib.abc"}
    # Files that this load test and this run do not have, and a search for the limit.
    unused |= {"csv", "tomllib", "obswarm.app.find_limit", "obswarm.feeds.rows", "obswarm.engine.scenario_plan"}
    unused |= {"ctypes", "gevent.resolver"}
    if sys.platform == "linux":
        unused |= {"psutil"}
    if library == "obswarm":
        unused |= {"logging.config", "obswarm.locust"}
    assert not unused & modules
    # Users in this process must not wait for these when the first scrape comes.
    assert {"google.protobuf", "prometheus_client"} & modules == (
        {"google.protobuf", "prometheus_client"} if workers == "0" else set()
    )


def test_a_worker_of_fast_http_users_imports_no_other_client_and_nothing_of_the_command_line(tmp_path: Path) -> None:
    load_test = tmp_path / "load_test.py"
    load_test.write_text(
        "import pathlib, sys\nfrom obswarm import FastHttpUser, constant, task\n"
        "class Visitor(FastHttpUser):\n    host = 'http://127.0.0.1:1'\n    wait_time = constant(0.1)\n"
        "    @task\n    def page(self):\n        self.client.get('/')\n"
        "    def on_stop(self):\n        pathlib.Path('modules').write_text(' '.join(sys.modules))\n"
    )
    command = [sys.executable, "-m", "obswarm", "run", "load_test.py", "-t", "1s", "--headless", "--no-report"]
    # It fails in the end, as nothing listens at the address.
    subprocess.run([*command, "--no-store"], check=False, capture_output=True, timeout=HANG_S, cwd=tmp_path)
    modules = set((tmp_path / "modules").read_text().split())
    assert "obswarm.http.client.session" in modules
    absent = {"requests", "urllib3", "click", "rich", "sqlite3", "importlib.metadata", "importlib.abc", "difflib"}
    absent |= {"ctypes", "csv", "fractions", "obswarm.feeds.server", "obswarm.web", "obswarm.guards", "obswarm.store"}
    if sys.platform == "linux":
        absent |= {"psutil"}
    assert not absent & modules


def test_no_command_imports_the_table_that_imports_it() -> None:
    folder = ROOT / "obswarm" / "cli"
    importing = {path.stem for path in folder.glob("*.py") if "from obswarm.cli.commands import" in path.read_text()}
    # The entry point alone, which no command imports.
    assert importing == {"main"}
