"""The load-test file's own command-line options, on argparse because that is what `init_command_line_parser` gives."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from obswarm.api.errors import ObswarmError
from obswarm.api.events import Events


class LoadTestParser(argparse.ArgumentParser):
    """An ArgumentParser that raises ObswarmError where argparse would exit, and takes the extra arguments that
    Locust's parser takes (`include_in_web_ui`, `is_secret`, `env_var`)."""

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        for foreign in ("include_in_web_ui", "is_secret", "is_required", "is_multiple"):
            kwargs.pop(foreign, None)
        variable = kwargs.pop("env_var", None)
        if variable and variable in os.environ:
            kwargs["default"] = os.environ[variable]
            kwargs.pop("required", None)
        return super().add_argument(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise ObswarmError(f"An option of the load-test file: {message}.")


def make_parser(events: Events, file: str) -> LoadTestParser:
    """The parser, after the load-test file has added its options to it."""
    parser = LoadTestParser(prog=f"obswarm run {file}", add_help=False, allow_abbrev=False)
    events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_custom(events: Events, file: str, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Values of the load-test file's options, and what of the arguments they did not use."""
    return make_parser(events, file).parse_known_args(list(arguments))
