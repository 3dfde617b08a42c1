"""The tables of obswarm.toml: targets, guards, and how long runs are kept. Its other keys are options
(obswarm.cli.file_option)."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from obswarm.api import ObswarmError
from obswarm.cli.access import access_of_target
from obswarm.cli.file_option import check_keys, list_of_texts
from obswarm.cli.options import is_http_url
from obswarm.cli.settings_file import GUARD_KEYS, TARGET_KEYS, Document, read_document
from obswarm.guards import RENAMED_ARGUMENTS, Guard, GuardError, GuardRule
from obswarm.http import ApiAccess
from obswarm.redact import redact_url, redact_value, remember
from obswarm.targets import KINDS, Target
from obswarm.units import parse_duration

Made = TypeVar("Made")
_ANYBODY = ApiAccess()
EARLIER_ALERTS = ("note", "wait")
"""What a run does about alerts that fire since before its start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says beside options."""

    document: Document | None = None
    keep_for_s: float | None = None
    keep_runs: int | None = None
    targets: tuple[Target, ...] = ()
    guards: tuple[GuardRule, ...] = ()

    @property
    def file(self) -> str | None:
        return None if self.document is None else str(self.document.path)

    @property
    def where(self) -> str:
        """Stands before a key in messages."""
        return "" if self.document is None else self.document.where

    def texts(self, key: str) -> tuple[str, ...]:
        """Those of an option whose values add to the command line's. Raises ObswarmError when they are no texts."""
        values = [] if self.document is None else self.document.values.get(key, [])
        return list_of_texts(f"{self.where}{key}", values)


def read_settings(named: str | None, folder: Path) -> Settings:
    """From the file that was named, or the one in the folder; empty settings when there is none.

    Raises ObswarmError that names the file and the key.
    """
    document = read_document(named, folder)
    if document is None:
        return Settings()
    where, values = document.where, document.values
    targets = _each(where, values, "targets", _target)
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ObswarmError(f"{where}two targets are called {name!r}.")
    return Settings(
        document,
        _duration(where, values, "keep_for"),
        _number(where, values, "keep_runs"),
        targets,
        _each(where, values, "guards", _guard),
    )


def _text(where: str, values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise ObswarmError(f"{where}{name} is {redact_value(name, value)!r}; it has to be a text.")
    return value


def _duration(where: str, values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ObswarmError(f"{where}{name}: {error}.") from None


def _number(where: str, values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ObswarmError(f"{where}{name} is {value!r}; it has to be a whole number above 0.")
    return value


def _each(
    where: str, values: Mapping[str, Any], name: str, make: Callable[[str, Mapping[str, Any]], Made]
) -> tuple[Made, ...]:
    entries = values.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ObswarmError(f"{where}{name} is written as [[{name}]], once for each.")
    return tuple(make(f"{where}[[{name}]] {number}: ", entry) for number, entry in enumerate(entries, start=1))


def _target(where: str, values: Mapping[str, Any]) -> Target:
    check_keys(where, values, list(TARGET_KEYS))
    for name in ("url", "kind"):
        if name not in values:
            raise ObswarmError(f"{where}{name} is missing.")
    own_name, url, kind = (_text(where, values, key) for key in ("name", "url", "kind"))
    return make_target(where, own_name, url, kind, access_of_target(where, values))


def make_target(
    where: str, name: str | None, url: str | None, kind: str | None, access: ApiAccess = _ANYBODY
) -> Target:
    """Raises ObswarmError for a kind that is not known, a URL that is none, or credentials that make no sense."""
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind or "", KINDS, 1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise ObswarmError(f"{where}there is no kind {kind!r} of target; it is one of {', '.join(KINDS)}.{hint}")
    check_url(f"{where}url", url or "")
    remember("url", url)
    access.check(lambda field: f"{where}{'headers' if field == 'header' else field}")
    return Target(name or kind, url or "", kind, access=access)


def check_url(where: str, url: str) -> None:
    """Raises ObswarmError when it is no http or https URL."""
    if not is_http_url(url):
        raise ObswarmError(f"{where}: {redact_url(url)!r} is not a URL; write it like http://127.0.0.1:9104/metrics.")


def _guard(where: str, values: Mapping[str, Any]) -> GuardRule:
    check_keys(where, values, [*GUARD_KEYS, *RENAMED_ARGUMENTS])
    if "when" not in values:
        raise ObswarmError(f"{where}when is missing.")
    for name in ("when", "action", "name", "on_no_data"):
        _text(where, values, name)
    try:
        return Guard(**values)
    except GuardError as error:
        raise ObswarmError(f"{where}when: {error}") from None
    except ObswarmError as error:
        raise ObswarmError(f"{where}{error}") from None
