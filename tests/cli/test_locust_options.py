"""Every option of the command `locust` is one of `obswarm run`, or says what to use instead."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.cli.locust_options import INSTEAD, INSTEAD_OF_MASTERS, WITHOUT_EFFECT
from obswarm.cli.main import cli as main
from obswarm.config.locust_conf import CLUSTER_KEYS
from obswarm.locust.argument_parser import default_args_dict, get_empty_argument_parser, setup_parser_arguments
from tests.support.refusals import refusal

LOCUST = [
    "--autoquit",
    "--autostart",
    "--build-path",
    "--class-picker",
    "--config",
    "--config-users",
    "--csv",
    "--csv-full-history",
    "--enable-rebalancing",
    "--equal-weights",
    "--exclude-tags",
    "--exit-code-on-error",
    "--expect-slaves",
    "--expect-workers",
    "--expect-workers-max-wait",
    "--headful",
    "--headless",
    "--help",
    "--host",
    "--html",
    "--json",
    "--json-file",
    "--legacy-ui",
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
    "--slave",
    "--spawn-rate",
    "--stop-timeout",
    "--tags",
    "--tls-cert",
    "--tls-key",
    "--users",
    "--version",
    "--web-auth",
    "--web-base-path",
    "--web-host",
    "--web-host-display-name",
    "--web-login",
    "--web-port",
    "--worker",
]
"""Those of Locust 2.47."""

SHORT = ["-E", "-H", "-L", "-P", "-T", "-V", "-f", "-h", "-l", "-r", "-s", "-t", "-u"]
ROLES = ["--worker"]
"""Read before the command's own options."""


def options_of(*commands: str) -> set[str]:
    return {name for command in commands for param in main.commands[command].params for name in param.opts}


def test_every_option_of_locust_is_known() -> None:
    ours = options_of("run") | {"--help", "-h", *ROLES}
    assert [name for name in (*LOCUST, *SHORT) if name not in ours and name not in INSTEAD] == []
    assert [name for name in INSTEAD if name in ours] == [], "what it has needs no sentence"
    masters = options_of("master") | {"--help", "--processes", "--master-bind-host", "--master-bind-port", *ROLES}
    assert [name for name in LOCUST if name not in masters | {"--version", "--master"} and name not in INSTEAD] == []


def test_the_parser_for_programs_has_them_all_but_those_that_locust_refuses() -> None:
    parser = get_empty_argument_parser(default_config_files=())
    setup_parser_arguments(parser)
    refused = {"--expect-slaves", "--slave", "--legacy-ui", "--web-auth", "--skip-log"}
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert flags == {*LOCUST, *SHORT} - refused
    assert default_args_dict()["stop_timeout"] == 0
    assert {key.replace("-", "_") for key in CLUSTER_KEYS} <= set(default_args_dict())


def test_the_sentences_name_options_and_commands_that_there_are() -> None:
    there = options_of("run", "master", "worker", "report", "runs") | set(ROLES)
    for sentence in filter(None, (*INSTEAD.values(), *INSTEAD_OF_MASTERS.values(), *WITHOUT_EFFECT.values())):
        assert set(re.findall(r"--[a-z][a-z-]*", sentence)) <= there, sentence
        assert set(re.findall(r"`obswarm ([a-z]+)", sentence)) <= set(main.commands), sentence
        assert sentence.endswith(".")


@pytest.mark.parametrize("name", ["--web-login"])
def test_the_command_says_it(name: str, loadtest, own_imports: None) -> None:
    file: Path = loadtest(
        "from locust import User, task\nclass Visitor(User):\n    @task\n    def nothing(self): ...\n"
    )
    assert refusal("run", str(file), name) == f"{name} is an option of Locust. {INSTEAD[name]}"


@pytest.mark.parametrize("name", sorted(INSTEAD_OF_MASTERS))
def test_a_master_has_no_workers_of_its_own(name: str, loadtest, own_imports: None) -> None:
    file: Path = loadtest(
        "from locust import User, task\nclass Visitor(User):\n    @task\n    def nothing(self): ...\n"
    )
    assert refusal("master", str(file), name, "2") == f"{name}: {INSTEAD_OF_MASTERS[name]}"


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_taken_and_said(name: str, loadtest, own_imports: None) -> None:
    file: Path = loadtest(
        "from locust import User, task\nclass Visitor(User):\n    @task\n    def nothing(self): ...\n"
    )
    param = next(each for each in main.commands["run"].params if name in each.opts)
    value = [] if getattr(param, "is_flag", False) else ["4"]
    done = CliRunner().invoke(main, ["run", "--list", name, *value, "-f", str(file)])
    assert (done.exit_code, "Visitor" in done.output) == (0, True)
    assert (f"Note: {name} of Locust has no effect." in done.output) == bool(WITHOUT_EFFECT[name])
