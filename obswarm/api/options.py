"""The load-test file's own command-line options, on argparse because that is what `init_command_line_parser` gives."""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from obswarm.api.errors import ObswarmError
from obswarm.api.events import Events
from obswarm.redact import is_secret_name, remember_secret


class _WithForeignArguments(argparse._ActionsContainer):
    """A parser or a group of options in it, whose `add_argument` takes what Locust's takes."""

    _secret: dict[str, bool]

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        is_secret = kwargs.pop("is_secret", None)
        for foreign in ("include_in_web_ui", "is_required", "is_multiple"):
            kwargs.pop(foreign, None)
        variable = kwargs.pop("env_var", None)
        if variable and variable in os.environ:
            kwargs["default"] = os.environ[variable]
            kwargs.pop("required", None)
        action = super().add_argument(*args, **kwargs)
        if is_secret is not None:
            self._secret[action.dest] = bool(is_secret)
        return action

    def add_argument_group(self, *args: Any, **kwargs: Any) -> argparse._ArgumentGroup:
        group = _Group(self, *args, **kwargs)
        self._action_groups.append(group)
        return group

    def add_mutually_exclusive_group(self, **kwargs: Any) -> argparse._MutuallyExclusiveGroup:
        group = _ExclusiveGroup(self, **kwargs)
        self._mutually_exclusive_groups.append(group)
        return group


class _Group(_WithForeignArguments, argparse._ArgumentGroup):
    def __init__(self, container: _WithForeignArguments, *args: Any, **kwargs: Any) -> None:
        self._secret = getattr(container, "_secret", {})
        super().__init__(container, *args, **kwargs)


class _ExclusiveGroup(_Group, argparse._MutuallyExclusiveGroup):
    pass


class LoadTestParser(_WithForeignArguments, argparse.ArgumentParser):
    """An ArgumentParser that raises ObswarmError where argparse would exit, and takes the extra arguments that
    Locust's parser takes (`include_in_web_ui`, `is_secret`, `env_var`).

    `is_secret` says whether the option's value is kept with the run; without it its name decides.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._secret = {}
        super().__init__(*args, **kwargs)

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the options whose values are secrets."""
        return frozenset(action.dest for action in self._actions if self._is_secret(action))

    @property
    def secret_flags(self) -> dict[str, bool]:
        """Their options as they are written (`--pin`, `-p`), and whether each takes several values."""
        return {
            flag: action.nargs not in (None, "?", 1)
            for action in self._actions
            if self._is_secret(action) and action.nargs != 0
            for flag in action.option_strings
        }

    def _is_secret(self, action: argparse.Action) -> bool:
        # Tokens that are counted, and none of those that open something.
        is_number = action.type in (int, float) and action.dest.endswith("tokens")
        return self._secret.get(action.dest, is_secret_name(action.dest) and not is_number)

    def error(self, message: str) -> NoReturn:
        raise ObswarmError(f"An option of the load-test file: {message}.")


class OptionValues(argparse.Namespace):
    """The values of a load-test file's options."""

    # Beside the values, not one of them.
    __slots__ = ("secret_flags", "secrets")
    secrets: frozenset[str]
    secret_flags: Mapping[str, bool]


def make_parser(events: Events, file: str) -> LoadTestParser:
    """Return the parser, after the load-test file has added its options to it."""
    parser = LoadTestParser(prog=f"obswarm run {file}", add_help=False, allow_abbrev=False)
    events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_custom(events: Events, file: str, arguments: Sequence[str]) -> tuple[OptionValues, list[str]]:
    """Return the values of the load-test file's options, and the arguments that are none of them."""
    parser = make_parser(events, file)
    values = OptionValues()
    values.secrets, values.secret_flags = parser.secrets, parser.secret_flags
    _, left = parser.parse_known_args(list(arguments), values)
    remember_secrets(parser, vars(values))
    return values, left


def remember_secrets(parser: LoadTestParser, values: Mapping[str, Any]) -> None:
    """Redact the secrets among the values of a parser's options in all output from now on."""
    for name in parser.secrets:
        remember_secret(values.get(name))
