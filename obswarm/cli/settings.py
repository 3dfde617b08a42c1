"""obswarm.toml (or [tool.obswarm] in pyproject.toml): targets, guards and where things are."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from obswarm.api import ObswarmError
from obswarm.cli.options import is_http_url
from obswarm.guards import Guard, GuardError, GuardRule
from obswarm.targets import KINDS, Target
from obswarm.units import parse_duration

Made = TypeVar("Made")
FILE = "obswarm.toml"
_PROJECT = "pyproject.toml"
_TOP = (
    "prometheus_url",
    "grafana_url",
    "grafana_token",
    "alerts_token",
    "on_alert",
    "alerts_grace",
    "earlier_alerts",
    "earlier_alerts_max_wait",
    "store",
    "keep_for",
    "keep_runs",
    "targets",
    "guards",
    "require",
)
_TEXTS = ("prometheus_url", "grafana_url", "grafana_token", "alerts_token", "on_alert", "earlier_alerts", "store")
EARLIER_ALERTS = ("note", "wait")
"""What a run does about alerts that fire since before its start."""

_TARGET = ("name", "url", "kind")
_GUARD = ("when", "action", "name", "clear_for", "blind_after", "on_blind")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says; texts are None when it does not."""

    file: str | None = None
    prometheus_url: str | None = None
    grafana_url: str | None = None
    grafana_token: str | None = None
    alerts_token: str | None = None
    on_alert: str | None = None
    alerts_grace_s: float | None = None
    earlier_alerts: str | None = None
    earlier_alerts_max_wait_s: float | None = None
    store: str | None = None
    keep_for_s: float | None = None
    keep_runs: int | None = None
    targets: tuple[Target, ...] = ()
    guards: tuple[GuardRule, ...] = ()
    require: tuple[str, ...] = ()


def read_settings(named: str | None, folder: Path) -> Settings:
    """From the file that was named, or the one in the folder; empty settings when there is none.

    Raises ObswarmError that names the file and the key.
    """
    path = settings_file(named, folder)
    if path is None:
        return Settings()
    if path.name == _PROJECT:
        return _settings(path, _read(path).get("tool", {}).get("obswarm", {}), "[tool.obswarm] ")
    return _settings(path, _read(path))


def settings_file(named: str | None, folder: Path) -> Path | None:
    """The one that was named, or the one in the folder; None when there is none. Raises ObswarmError for a
    pyproject.toml that is none."""
    path = Path(named) if named is not None else folder / FILE
    if named is not None or path.exists():
        return path
    project = folder / _PROJECT
    return project if project.exists() and "obswarm" in _read(project).get("tool", {}) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ObswarmError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ObswarmError(f"{path} is not TOML: {error}.") from None


def _settings(path: Path, values: Mapping[str, Any], section: str = "") -> Settings:
    where = f"{path}: {section}"
    _check_keys(where, values, _TOP)
    texts = {name: _text(where, values, name) for name in _TEXTS}
    for name in ("prometheus_url", "grafana_url"):
        if texts[name] is not None:
            check_url(f"{where}{name}", texts[name] or "")
    if texts["earlier_alerts"] not in (None, *EARLIER_ALERTS):
        raise ObswarmError(
            f"{where}earlier_alerts is {texts['earlier_alerts']!r}; it is one of {', '.join(EARLIER_ALERTS)}."
        )
    targets = _each(where, values, "targets", _target)
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ObswarmError(f"{where}two targets are called {name!r}.")
    require = values.get("require", [])
    if not isinstance(require, list) or not all(isinstance(each, str) for each in require):
        raise ObswarmError(f"{where}require has to be a list of texts.")
    return Settings(
        file=str(path),
        **texts,
        alerts_grace_s=_duration(where, values, "alerts_grace"),
        earlier_alerts_max_wait_s=_duration(where, values, "earlier_alerts_max_wait"),
        keep_for_s=_duration(where, values, "keep_for"),
        keep_runs=_number(where, values, "keep_runs"),
        targets=targets,
        guards=_each(where, values, "guards", _guard),
        require=tuple(require),
    )


def _check_keys(where: str, values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in values:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {nearest[0]}?" if nearest else f" Known are {', '.join(known)}."
            raise ObswarmError(f"{where}there is no {key!r}.{hint}")


def _text(where: str, values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise ObswarmError(f"{where}{name} is {value!r}; it has to be a text.")
    return value


def _duration(where: str, values: Mapping[str, Any], name: str) -> float | None:
    text = _text(where, values, name)
    if text is None:
        return None
    try:
        return parse_duration(text)
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
    _check_keys(where, values, _TARGET)
    for name in ("url", "kind"):
        if name not in values:
            raise ObswarmError(f"{where}{name} is missing.")
    return make_target(where, _text(where, values, "name"), _text(where, values, "url"), _text(where, values, "kind"))


def make_target(where: str, name: str | None, url: str | None, kind: str | None) -> Target:
    """Raises ObswarmError for a kind that is not known, or a URL that is none."""
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind or "", KINDS, 1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise ObswarmError(f"{where}there is no kind {kind!r} of target; it is one of {', '.join(KINDS)}.{hint}")
    check_url(f"{where}url", url or "")
    return Target(name or kind, url or "", kind)


def check_url(where: str, url: str) -> None:
    """Raises ObswarmError when it is no http or https URL."""
    if not is_http_url(url):
        raise ObswarmError(f"{where}: {url!r} is not a URL; write it like http://127.0.0.1:9104/metrics.")


def _guard(where: str, values: Mapping[str, Any]) -> GuardRule:
    _check_keys(where, values, _GUARD)
    if "when" not in values:
        raise ObswarmError(f"{where}when is missing.")
    for name in ("when", "action", "name", "on_blind"):
        _text(where, values, name)
    try:
        return Guard(**values)
    except GuardError as error:
        raise ObswarmError(f"{where}when: {error}") from None
    except ObswarmError as error:
        raise ObswarmError(f"{where}{error}") from None
