"""A RunConfig as plain values for MessagePack, and back: every value is checked against the type of its field.

A master service gets all settings that travel, workers get those that they need.
"""

import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from obswarm.config.run_config import SETTINGS, RunConfig
from obswarm.config.setting import Scope, Setting, Source

_MOST_ENTRIES = 10_000
_LONGEST_TEXT = 1_000_000


class BadConfig(ValueError):
    """The received value is not a RunConfig of this release; the text is the reason."""


def to_wire(config: RunConfig, release: str) -> dict[str, Any]:
    """Return a RunConfig as dictionaries, lists, strings and numbers, including secrets, but without settings of this
    process alone."""
    local = {name: each.default for name, each in SETTINGS.items() if not each.travels}
    travelling = config.replaced(local)
    plain: dict[str, Any] = _plain(travelling)
    plain["origins"] = {name: value for name, value in plain["origins"].items() if name not in local}
    return {"release": release, "config": plain}


def from_wire(values: Any, release: str) -> RunConfig:
    """Return the RunConfig from the result of `to_wire`. Raises BadConfig for an invalid one, or another release."""
    if not isinstance(values, dict) or set(values) != {"release", "config"}:
        raise BadConfig("not the configuration of a run")
    if values["release"] != release:
        theirs = str(values["release"])[:50]
        raise BadConfig(f"it is of obswarm {theirs}, this is obswarm {release}; the versions have to be the same")
    config: RunConfig = _made(RunConfig, values["config"], "")
    for name in config.origins:
        if name not in SETTINGS:
            raise BadConfig(f"there is no setting {name[:50]!r}")
    _check_limits(config)
    return config


def to_workers(config: RunConfig) -> dict[str, Any]:
    """Return the settings that workers need, by name, as lists, strings and numbers."""
    return {each.name: _plain(config.value(each.name)) for each in _of_workers()}


def from_master(values: Any) -> RunConfig:
    """Return a RunConfig from the result of `to_workers`; a setting that is not in it has its default. Raises BadConfig
    for invalid values, and for settings that workers of this release do not know."""
    if not isinstance(values, dict):
        raise BadConfig("the settings are not a table")
    known = {each.name: each for each in _of_workers()}
    for name in values:
        if name not in known:
            raise BadConfig(f"there is no setting {str(name)[:50]!r} of workers")
    config = RunConfig.of({name: _made(known[name].type, value, name) for name, value in values.items()}, {})
    _check_limits(config)
    return config


def _of_workers() -> Iterator[Setting]:
    return (each for each in SETTINGS.values() if each.scope is Scope.WORKERS)


def _check_limits(config: RunConfig) -> None:
    """Raise BadConfig if a value is not within the limits of its setting."""
    for each in SETTINGS.values():
        value = config.value(each.name)
        if each.choices is not None and value is not None and value.upper() not in map(str.upper, each.choices):
            raise BadConfig(f"{each.name} is not one of {', '.join(each.choices)}")
        if isinstance(value, float) and (value < 0 or not math.isfinite(value)):
            raise BadConfig(f"{each.name} is negative or not finite")
        if each.limits is not None and value is not None and not each.allows(value):
            raise BadConfig(f"{each.name} is not from {each.limits[0]:,} to {each.limits[1]:,}")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value.name if isinstance(value, Enum) else value


def _made(kind: Any, value: Any, where: str) -> Any:
    """Convert a value to a type. Raises BadConfig if it is of another type."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(value, dict) or set(value) != {each.name for each in fields(kind)}:
            raise BadConfig(f"{where or 'the configuration'} has missing or unknown fields")
        make = cast(Callable[..., Any], kind)
        return make(**{name: _made(hints[name], each, f"{where}.{name}".strip(".")) for name, each in value.items()})
    outer, inner = get_origin(kind), get_args(kind)
    if outer in (Union, types.UnionType):
        return _of_union(inner, value, where)
    if outer is tuple:
        return _tuple(inner, value, where)
    if outer is not None and issubclass(outer, Mapping):
        if not isinstance(value, dict) or len(value) > _MOST_ENTRIES:
            raise BadConfig(f"{where} is not a table")
        return {_made(inner[0], name, where): _made(inner[1], each, where) for name, each in value.items()}
    if kind is Source:
        if value not in Source.__members__:
            raise BadConfig(f"{where} is not a source of values")
        return Source[value]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (kind is str and len(value) > _LONGEST_TEXT):
        raise BadConfig(f"{where} has the wrong type")
    return value


def _of_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    simple = [kind for kind in kinds if kind is type(value)]
    rest = [kind for kind in kinds if kind is not type(None)]
    return _made(simple[0] if simple else rest[0], value, where)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
        raise BadConfig(f"{where} is not a list")
    if kinds[-1] is Ellipsis:
        return tuple(_made(kinds[0], each, where) for each in value)
    if len(value) != len(kinds):
        raise BadConfig(f"{where} does not have {len(kinds)} values")
    return tuple(_made(kind, each, where) for kind, each in zip(kinds, value, strict=True))
