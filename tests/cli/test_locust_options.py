"""Every option of the command `locust` is one of `obswarm run`, or says what to use instead."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.cli.locust_options import INSTEAD
from obswarm.cli.main import cli as main

LOCUST = [
    "--autoquit",
    "--autostart",
    "--class-picker",
    "--config",
    "--config-users",
    "--csv",
    "--csv-full-history",
    "--enable-rebalancing",
    "--equal-weights",
    "--exclude-tags",
    "--exit-code-on-error",
    "--expect-workers",
    "--expect-workers-max-wait",
    "--headless",
    "--help",
    "--host",
    "--html",
    "--json",
    "--json-file",
    "--list",
    "--locustfile",
    "--logfile",
    "--loglevel",
    "--master",
    "--master-bind-host",
    "--master-bind-port",
    "--master-host",
    "--master-port",
    "--only-summary",
    "--otel",
    "--print-stats",
    "--processes",
    "--profile",
    "--reset-stats",
    "--run-time",
    "--show-task-ratio",
    "--show-task-ratio-json",
    "--skip-log",
    "--skip-log-setup",
    "--spawn-rate",
    "--stop-timeout",
    "--tags",
    "--tls-cert",
    "--tls-key",
    "--users",
    "--web-base-path",
    "--web-host",
    "--web-login",
    "--web-port",
    "--worker",
]
"""Those of Locust 2.47."""


def options_of(*commands: str) -> set[str]:
    return {name for command in commands for param in main.commands[command].params for name in param.opts}


def test_none_is_unknown() -> None:
    ours = options_of("run") | {"--help"}
    assert [name for name in LOCUST if name not in ours and name not in INSTEAD] == []
    assert [name for name in INSTEAD if name in ours] == [], "what it has needs no sentence"


def test_the_sentences_name_options_and_commands_that_there_are() -> None:
    there = options_of("run", "master", "worker", "report", "runs")
    for sentence in INSTEAD.values():
        assert set(re.findall(r"--[a-z][a-z-]*", sentence)) <= there, sentence
        assert set(re.findall(r"`obswarm ([a-z]+)", sentence)) <= set(main.commands), sentence
        assert sentence.endswith(".")


@pytest.mark.parametrize("name", ["--html", "--worker", "--processes"])
def test_the_command_says_it(name: str, loadtest, own_imports: None) -> None:
    file: Path = loadtest(
        "from locust import User, task\nclass Visitor(User):\n    @task\n    def nothing(self): ...\n"
    )
    done = CliRunner().invoke(main, ["run", str(file), name, "4"])
    assert done.exit_code == 2
    assert f"Error: {name} is an option of Locust. {INSTEAD[name]}" in done.output
