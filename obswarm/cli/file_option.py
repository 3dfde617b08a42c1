"""An option that can also be set in obswarm.toml. Precedence: command line, environment, file, default.

The key in the file is the long option's name with underscores. Options of the commands that run load tests are at the
top level of the file, options of another command in a table named after it (obswarm.cli.settings).
"""

import math
import os
from functools import cached_property
from typing import Any

import click
from click.core import ParameterSource

from obswarm.api import ObswarmError
from obswarm.cli import settings
from obswarm.config import list_of_texts
from obswarm.redact import register_setting


class FileOption(click.Option):
    """A click option with a key in obswarm.toml.

    `shared`: the key at the top level applies to all commands with this option. `in_file`: whether the file may contain
    it. `adds`: values of the command line are appended to those of the file instead of replacing them
    (FileConfig.texts).
    """

    def __init__(
        self, *names: Any, shared: bool = False, in_file: bool = True, adds: bool = False, **attributes: Any
    ) -> None:
        super().__init__(*names, **attributes)
        self.shared = shared
        self.in_file = in_file
        self.adds = adds
        self.long = next(name for name in self.opts if name.startswith("--"))

    @property
    def key(self) -> str:
        """The key in the file."""
        return self.long.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that the value is from, or the first that it may be from; empty without one."""
        names = [self.envvar] if isinstance(self.envvar, str) else [*(self.envvar or ())]
        return next((name for name in names if os.environ.get(name)), names[0] if names else "")

    def get_default(self, ctx: click.Context, call: Any = True) -> Any:
        # click would take one from the default_map first; but --help shows the same defaults in every folder.
        values, ctx.default_map = ctx.default_map, None
        try:
            return super().get_default(ctx, call)
        finally:
            ctx.default_map = values

    def get_error_hint(self, ctx: click.Context | None, *more: Any) -> str:
        if ctx is not None and ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT:
            return f"{self.variable} (environment)"
        return super().get_error_hint(ctx, *more)

    @cached_property
    def takes_numbers(self) -> bool:
        """Whether the file may contain a number instead of a text: if numbers are valid values, and a word is not."""
        return any(self._parses(text) for text in ("2", "0.01")) and not self._parses("x")

    def _parses(self, text: str) -> bool:
        try:
            self.type.convert(text, self, None)
        except click.BadParameter:
            return False
        return True

    def check_toml(self, ctx: click.Context, where: str, value: Any) -> None:
        """Raise ObswarmError for an invalid value, even if the command does not use it."""
        if self.adds:
            list_of_texts(where, value)
        given = self.from_toml(where, value)
        try:
            parsed = self.type_cast_value(ctx, given)
        except click.BadParameter as error:
            raise ObswarmError(f"{where}: {error.message}") from None
        if isinstance(parsed, float) and not math.isfinite(parsed):
            raise ObswarmError(f"{where}: {parsed} is not a finite number.")

    def from_toml(self, where: str, value: Any) -> Any:
        """Return a value of the file in the form of the command line. Raises ObswarmError for a wrong type."""
        if self.is_flag:
            if not isinstance(value, bool):
                raise ObswarmError(f"{where} is {settings.kind_of(value)}; it has to be true or false.")
            return value
        if self.multiple:
            values = value if isinstance(value, list) else [value]
            return [self._text(where, each, "a list of texts") for each in values]
        return self._text(where, value, "a whole number" if isinstance(self.type, click.types.IntParamType) else "")

    def _text(self, where: str, value: Any, expected: str) -> str:
        if isinstance(self.type, click.types.IntParamType):
            accepted: tuple[type, ...] = (int,)
        elif self.takes_numbers:
            accepted, expected = (str, int, float), expected or "a text or a number"
        else:
            accepted, expected = (str,), expected or "a text"
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise ObswarmError(f"{where} is {settings.kind_of(value)}; it has to be {expected}.")
        return str(value)


class SecretOption(FileOption):
    """An option whose value is or contains a secret, such as the password of a URL; it is redacted in all texts."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        # Before parsing, which may fail with a message that contains the value.
        register_setting(self.long, value)
        return super().process_value(ctx, value)
