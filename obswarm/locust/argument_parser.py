"""`locust.argument_parser`: the parser of Locust's command line, for programs that read it themselves, and types of its
options. `obswarm run` has a command line of its own, which takes Locust's options (obswarm.cli)."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from obswarm.api import LoadTestParser, ObswarmError, events, new_option_values
from obswarm.config import given_to_locust
from obswarm.engine import loadtest_files, parse_user_config
from obswarm.locust.stand_in import StandIn
from obswarm.locust.util.timespan import parse_timespan

DEFAULT_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")

__all__ = [
    "DEFAULT_CONFIG_FILES",
    "LocustArgumentParser",
    "UIExtraArgOptions",
    "default_args_dict",
    "get_empty_argument_parser",
    "get_parser",
    "gt_zero",
    "json_user_config",
    "parse_locustfile_option",
    "parse_locustfile_paths",
    "parse_options",
    "positive_integer",
    "setup_parser_arguments",
    "timespan",
    "ui_extra_args_dict",
]


class LocustArgumentParser(LoadTestParser, metaclass=StandIn):
    """A parser that also reads Locust's configuration files, and exits with a sentence and code 2 for wrong options.

    Every LoadTestParser is an instance of it, such as that of `events.init_command_line_parser`.
    """

    stands_for = LoadTestParser

    def __init__(self, *args: Any, default_config_files: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._config_files = tuple(default_config_files or ())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        config.add_argument("--config")
        named = config.parse_known_args(args)[0].config
        try:
            self.given = given_to_locust([*self._config_files, *([named] if named else [])])
        except ObswarmError as error:
            self.error(str(error))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def timespan(text: str) -> int:
    """Return the seconds of a duration such as `1h30m`. Raises argparse.ArgumentTypeError."""
    try:
        return parse_timespan(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive_integer(text: str) -> int:
    """Return a whole number of at least 1. Raises argparse.ArgumentTypeError."""
    number = int(text) if text.strip().lstrip("+").isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def gt_zero(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type of options: a number above 0 that is read by `kind`, int or float."""

    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
        return value

    return number


def json_user_config(text: str) -> list[dict[str, Any]]:
    """Return the settings of user classes in a JSON text, or in a file that ends in .json. Raises
    argparse.ArgumentTypeError."""
    try:
        content = Path(text).read_text(encoding="utf-8") if text.endswith(".json") else text
        return list(parse_user_config(content))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_FLAG: Mapping[str, Any] = {"action": "store_true"}
_WORDS: Mapping[str, Any] = {"nargs": "*"}

_OPTIONS: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("-H --host", "host", "LOCUST_HOST", {}),
    ("-u --users", "num_users", "LOCUST_USERS", {"type": gt_zero(int)}),
    ("-r --spawn-rate", "spawn_rate", "LOCUST_SPAWN_RATE", {"type": gt_zero(float)}),
    ("-t --run-time", "run_time", "LOCUST_RUN_TIME", {"type": timespan}),
    ("-l --list", "list_commands", "", _FLAG),
    ("--config-users", "config_users", "LOCUST_CONFIG_USERS", {**_WORDS, "type": json_user_config}),
    ("--web-host", "web_host", "LOCUST_WEB_HOST", {}),
    ("--web-host-display-name", "web_host_display_name", "LOCUST_WEB_HOST_DISPLAY_NAME", {}),
    ("--web-port -P", "web_port", "LOCUST_WEB_PORT", {"type": int}),
    ("--headless", "headless", "LOCUST_HEADLESS", _FLAG),
    ("--autostart", "autostart", "LOCUST_AUTOSTART", _FLAG),
    ("--autoquit", "autoquit", "LOCUST_AUTOQUIT", {"type": int}),
    ("--headful", "headful", "LOCUST_HEADFUL", _FLAG),
    ("--web-login", "web_login", "LOCUST_WEB_LOGIN", _FLAG),
    ("--tls-cert", "tls_cert", "LOCUST_TLS_CERT", {}),
    ("--tls-key", "tls_key", "LOCUST_TLS_KEY", {}),
    ("--class-picker", "class_picker", "LOCUST_USERCLASS_PICKER", _FLAG),
    ("--build-path", "build_path", "LOCUST_BUILD_PATH", {}),
    ("--web-base-path", "web_base_path", "LOCUST_WEB_BASE_PATH", {}),
    ("--master", "master", "LOCUST_MODE_MASTER", _FLAG),
    ("--master-bind-host", "master_bind_host", "LOCUST_MASTER_BIND_HOST", {}),
    ("--master-bind-port", "master_bind_port", "LOCUST_MASTER_BIND_PORT", {"type": int}),
    ("--expect-workers", "expect_workers", "LOCUST_EXPECT_WORKERS", {"type": positive_integer}),
    ("--expect-workers-max-wait", "expect_workers_max_wait", "LOCUST_EXPECT_WORKERS_MAX_WAIT", {"type": int}),
    ("--enable-rebalancing", "enable_rebalancing", "", _FLAG),
    ("--worker", "worker", "LOCUST_MODE_WORKER", _FLAG),
    ("--processes", "processes", "LOCUST_PROCESSES", {"type": int}),
    ("--master-host", "master_host", "LOCUST_MASTER_NODE_HOST", {}),
    ("--master-port", "master_port", "LOCUST_MASTER_NODE_PORT", {"type": int}),
    ("-T --tags", "tags", "LOCUST_TAGS", _WORDS),
    ("-E --exclude-tags", "exclude_tags", "LOCUST_EXCLUDE_TAGS", _WORDS),
    ("--csv", "csv_prefix", "LOCUST_CSV", {}),
    ("--csv-full-history", "stats_history_enabled", "LOCUST_CSV_FULL_HISTORY", _FLAG),
    ("--print-stats", "print_stats", "LOCUST_PRINT_STATS", _FLAG),
    ("--only-summary", "only_summary", "LOCUST_ONLY_SUMMARY", _FLAG),
    ("--reset-stats", "reset_stats", "LOCUST_RESET_STATS", _FLAG),
    ("--html", "html_file", "LOCUST_HTML", {}),
    ("--json", "json", "", _FLAG),
    ("--json-file", "json_file", "", {}),
    ("--skip-log-setup", "skip_log_setup", "LOCUST_SKIP_LOG_SETUP", _FLAG),
    ("--loglevel -L", "loglevel", "LOCUST_LOGLEVEL", {"type": str.upper}),
    ("--logfile", "logfile", "LOCUST_LOGFILE", {}),
    ("--show-task-ratio", "show_task_ratio", "", _FLAG),
    ("--show-task-ratio-json", "show_task_ratio_json", "", _FLAG),
    ("--exit-code-on-error", "exit_code_on_error", "LOCUST_EXIT_CODE_ON_ERROR", {"type": int}),
    ("-s --stop-timeout", "stop_timeout", "LOCUST_STOP_TIMEOUT", {"type": timespan}),
    ("--equal-weights", "equal_weights", "", _FLAG),
    ("--profile", "profile", "", {}),
    ("--otel", "otel", "LOCUST_ENABLE_OPENTELEMETRY", _FLAG),
)
"""Flags, name in the namespace, environment variable, and further arguments of `add_argument`."""


def get_empty_argument_parser(
    add_help: bool = True, default_config_files: Sequence[str] = DEFAULT_CONFIG_FILES
) -> LocustArgumentParser:
    """Return a parser with `--locustfile` and `--config` alone."""
    parser = LocustArgumentParser(prog="locust", add_help=add_help, default_config_files=default_config_files)
    parser.add_argument("-f", "--locustfile", default="locustfile.py", env_var="LOCUST_LOCUSTFILE")
    parser.add_argument("--config")
    return parser


def setup_parser_options(parser: LoadTestParser) -> None:
    """Add all other options of Locust to a parser, without user classes and --version."""
    defaults = new_option_values()
    for flags, dest, variable, further in _OPTIONS:
        parser.add_argument(*flags.split(), dest=dest, env_var=variable or None, default=defaults[dest], **further)


def setup_parser_arguments(parser: LoadTestParser) -> None:
    """Add all other options of Locust to a parser, and user classes."""
    setup_parser_options(parser)
    from obswarm.locust import __version__

    parser.add_argument("-V", "--version", action="version", version=f"locust {__version__}")
    parser.add_argument("user_classes", nargs="*", default=os.environ.get("LOCUST_USER_CLASSES", "").split())


def get_parser(default_config_files: Sequence[str] = DEFAULT_CONFIG_FILES) -> LocustArgumentParser:
    """Return the parser of Locust's whole command line, with the options that listeners of
    `events.init_command_line_parser` add."""
    parser = get_empty_argument_parser(default_config_files=default_config_files)
    setup_parser_arguments(parser)
    events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_options(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of a command line, by default of this process."""
    parser = get_parser()
    options = parser.parse_args(args)
    if options.stats_history_enabled and options.csv_prefix is None:
        parser.error("'--csv-full-history' requires '--csv'.")
    return options


def parse_locustfile_option(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Return `locustfile` and `config` of a command line."""
    options: argparse.Namespace = get_empty_argument_parser(add_help=False).parse_known_args(args)[0]
    return options


def parse_locustfile_paths(paths: Sequence[str]) -> list[str]:
    """Return the files that `-f` names: files, folders, URLs. Raises ObswarmError for what is not there."""
    return [str(file.resolve()) for path in paths for file in loadtest_files(path)]


def default_args_dict() -> dict[str, Any]:
    """Return the defaults of Locust's own options by name."""
    parser = get_empty_argument_parser(default_config_files=())
    setup_parser_arguments(parser)
    return vars(parser.parse_args([]))


class UIExtraArgOptions(NamedTuple):
    """An option of the load test, as Locust's web page shows it."""

    default_value: Any
    is_secret: bool
    is_required: bool
    help_text: str | None
    is_multiple: bool
    choices: list[str] | None = None


def ui_extra_args_dict(args: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the load test's own options that are shown in Locust's web page, with their values, by name."""
    own = default_args_dict()
    parser = get_parser()
    values = vars(parser.parse_args(args))
    return {
        name: UIExtraArgOptions(
            default_value=values[name],
            is_secret=action.is_secret,  # type: ignore[attr-defined]
            is_required=action.is_required,  # type: ignore[attr-defined]
            help_text=action.help,
            is_multiple=action.is_multiple,  # type: ignore[attr-defined]
            choices=list(action.choices) if action.choices is not None else None,
        )._asdict()
        for name, action in parser.args_included_in_web_ui.items()
        if name not in own and name in values
    }
