"""The load-test file's own command-line options, on argparse because that is what `init_command_line_parser` gives."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from obswarm.api.errors import ObswarmError
from obswarm.api.events import Events
from obswarm.redact import is_secret_name, register_secret

GivenOptions = Mapping[str, str | tuple[str, ...]]
"""Values of options from a configuration file, by the option's long name without its dashes."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


class _WithForeignArguments(argparse._ActionsContainer):
    """A parser or a group of options in it, whose `add_argument` takes what Locust's takes."""

    _secret: dict[str, bool]
    _variables: dict[str, str]

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        is_secret = kwargs.pop("is_secret", None)
        shown = {
            "include_in_web_ui": bool(kwargs.pop("include_in_web_ui", True)),
            "is_secret": bool(is_secret),
            "is_required": bool(kwargs.pop("is_required", False)),
            "is_multiple": bool(kwargs.pop("is_multiple", False)),
        }
        variable = kwargs.pop("env_var", None)
        action = super().add_argument(*args, **kwargs)
        # Where programs of Locust's users look for them.
        for name, value in shown.items():
            setattr(action, name, value)
        if variable:
            self._variables[action.dest] = variable
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
        self._variables = getattr(container, "_variables", {})
        super().__init__(container, *args, **kwargs)


class _ExclusiveGroup(_Group, argparse._MutuallyExclusiveGroup):
    pass


class LoadTestParser(_WithForeignArguments, argparse.ArgumentParser):
    """An ArgumentParser that raises ObswarmError where argparse would exit, and takes the extra arguments that
    Locust's parser takes (`include_in_web_ui`, `is_secret`, `env_var`).

    `is_secret` says whether the option's value is kept with the run; without it its name decides. An option that is not
    on the command line has the value of its environment variable, else that of `given`, a configuration file.
    """

    def __init__(self, *args: Any, given: GivenOptions | None = None, **kwargs: Any) -> None:
        self._secret = {}
        self._variables = {}
        self.given: GivenOptions = given or {}
        super().__init__(*args, **kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        line = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(self._with_given(line), namespace)

    def _with_given(self, line: list[str]) -> list[str]:
        """Return a command line with the options that are given elsewhere: as arguments, so that they are checked as
        others are. They follow what is there: an option with any number of values takes none of it."""
        end = line.index("--") if "--" in line else len(line)
        added: list[str] = []
        for action in self._actions:
            if action.option_strings and not _is_on(line[:end], action):
                found = self._found(action)
                added += option_arguments(action, *found) if found is not None else []
        return [*line[:end], *added, *line[end:]]

    def _found(self, action: argparse.Action) -> tuple[str, str | tuple[str, ...]] | None:
        """Return what gives an option its value, in words, and the value; None if nothing does."""
        variable = self._variables.get(action.dest, "")
        if variable in os.environ:
            text = os.environ[variable].strip()
            is_list = action.nargs in ("*", "+") and text[:1] == "[" and text[-1:] == "]"
            return variable, tuple(each.strip() for each in text[1:-1].split(",")) if is_list else text
        for flag in action.option_strings:
            name = flag.lstrip("-")
            if flag.startswith("--") and name in self.given:
                return f"{name} in the configuration", self.given[name]
        return None

    def defaults(self) -> argparse.Namespace:
        """Return the values of all options without a command line, required ones included, which are None."""
        required = [action for action in self._actions if action.required]
        for action in required:
            action.required = False
        try:
            values: argparse.Namespace = self.parse_args([])
        finally:
            for action in required:
                action.required = True
        return values

    @property
    def long_names(self) -> frozenset[str]:
        """The long names of all options, without their dashes."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        return frozenset(flag.lstrip("-") for flag in flags if flag.startswith("--"))

    @property
    def args_included_in_web_ui(self) -> dict[str, argparse.Action]:
        """The options that Locust's web page shows, by name."""
        return {each.dest: each for each in self._actions if getattr(each, "include_in_web_ui", False)}

    @property
    def secret_args_included_in_web_ui(self) -> dict[str, argparse.Action]:
        """Those of them with `is_secret`."""
        return self._shown_with("is_secret")

    @property
    def required_args_included_in_web_ui(self) -> dict[str, argparse.Action]:
        """Those of them with `is_required`."""
        return self._shown_with("is_required")

    @property
    def multiple_args_included_in_web_ui(self) -> dict[str, argparse.Action]:
        """Those of them with `is_multiple`."""
        return self._shown_with("is_multiple")

    def _shown_with(self, attribute: str) -> dict[str, argparse.Action]:
        return {name: each for name, each in self.args_included_in_web_ui.items() if getattr(each, attribute)}

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


def _is_on(line: Sequence[str], action: argparse.Action) -> bool:
    """Whether an option is on a command line."""
    return any(
        text == flag
        or text.startswith(f"{flag}=")
        or (len(flag) == 2 and flag != "--" and text.startswith(flag) and not text.startswith("--"))
        for text in line
        for flag in action.option_strings
    )


def option_arguments(action: argparse.Action, where: str, value: str | tuple[str, ...]) -> list[str]:
    """Return an option and its value as arguments. Raises ObswarmError for a flag that is neither true nor false."""
    flags = action.option_strings
    flag = next((each for each in flags if each.startswith("--")), flags[0])
    if action.nargs == 0:
        text = str(value).strip().lower()
        if isinstance(action, argparse._CountAction) and text.isdecimal():
            return [flag] * int(text)
        if text not in (*_TRUE, *_FALSE):
            raise ObswarmError(f"An option of the load-test file: {where} is {value!r}; it has to be true or false.")
        # `--color` and `--no-color`.
        opposite = [each for each in flags if each.startswith("--no-")]
        return [flag] if text in _TRUE else opposite[:1] if len(flags) > len(opposite) else []
    values = value if isinstance(value, tuple) else (value,)
    if action.nargs is not None and action.nargs != "?":
        return [flag, *values]
    joint = f"{flag}=" if flag.startswith("--") else flag
    return [f"{joint}{each}" for each in values]


class OptionValues(argparse.Namespace):
    """The values of a load-test file's options."""

    # Beside the values, not one of them.
    __slots__ = ("long_names", "secret_flags", "secrets")
    secrets: frozenset[str]
    secret_flags: Mapping[str, bool]
    long_names: frozenset[str]


def make_parser(events: Events, file: str, given: GivenOptions | None = None) -> LoadTestParser:
    """Return the parser, after the load-test file has added its options to it."""
    parser = LoadTestParser(prog=f"obswarm run {file}", add_help=False, allow_abbrev=False, given=given)
    events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_custom(
    events: Events, file: str, arguments: Sequence[str], given: GivenOptions | None = None
) -> tuple[OptionValues, list[str]]:
    """Return the values of the load-test file's options, and the arguments that are none of them. `given` are values
    for options that are not among the arguments."""
    parser = make_parser(events, file, given)
    values = OptionValues()
    values.secrets, values.secret_flags, values.long_names = parser.secrets, parser.secret_flags, parser.long_names
    _, left = parser.parse_known_args(list(arguments), values)
    register_secrets(parser, vars(values))
    return values, left


def register_secrets(parser: LoadTestParser, values: Mapping[str, Any]) -> None:
    """Redact the secrets among the values of a parser's options in all output from now on."""
    for name in parser.secrets:
        register_secret(values.get(name))
