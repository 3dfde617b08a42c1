"""A run that was requested on the page or by the API, as a configuration and the load test's options."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import UNSET

from obswarm.api import ObswarmError, OptionValues, events, format_rate_stages, make_parser
from obswarm.api import parse_stages as parse_stages_text
from obswarm.api.arrivals import parse_rate_stages
from obswarm.api.options import option_arguments
from obswarm.app.planning import LoadedTest
from obswarm.config import MOST_USERS, SETTINGS, Origin, RunConfig, Source
from obswarm.defaults import LONGEST_RUN_S
from obswarm.redact import register_secret
from obswarm.sanitize import is_clean
from obswarm.units import parse_duration
from obswarm.web.rest.requests import Start


def config_of(config: RunConfig, request: Start) -> RunConfig:
    """Return the configuration of a requested run; what the request leaves out is that of `config`. Raises
    ObswarmError."""
    values: dict[str, Any] = {}
    kinds = [request.users is not None or request.spawn_rate is not None, request.stages, request.arrival_rate]
    if sum(map(bool, kinds)) > 1:
        raise ObswarmError("users and spawn_rate, stages, and arrival_rate exclude each other; give one of them.")
    if any(kinds):
        values |= {"users": None, "spawn_rate": None, "stages": None, "arrival_rate": None}
        values |= {"users": request.users or config.load.users, "spawn_rate": request.spawn_rate} if kinds[0] else {}
        values |= {"stages": _stages(request.stages)} if request.stages else {}
        values |= (
            {"arrival_rate": _rate(request.arrival_rate, config.load.arrival_rate)} if request.arrival_rate else {}
        )
        if kinds[0] and request.spawn_rate is None:
            values["spawn_rate"] = config.load.spawn_rate
    if request.run_time is not None:
        values["run_time"] = _run_time(request.run_time)
    if request.host is not UNSET:
        values["host"] = _host(request.host or "")
    for name, given in (("tags", request.tags), ("exclude_tags", request.exclude_tags)):
        if given is not UNSET:
            values[name] = tuple(given)
    if request.profile is not UNSET:
        values["profile"] = request.profile or None
    changed = config.replaced(values)
    origins = {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name, each in values.items() if each}
    kept = {name: each for name, each in config.origins.items() if name not in values}
    return replace(changed, origins=kept | origins)


def loaded_for(loaded: LoadedTest, request: Start, arguments: Sequence[str], file: Mapping[str, Any]) -> LoadedTest:
    """Return the load test with the classes, tags and options of a requested run. `arguments` are those of the command
    line, `file` the values of obswarm.toml. Raises ObswarmError."""
    changes = _changes(loaded, request)
    if request.options:
        changes["custom"], _, flags = _options(loaded, request.options, arguments, file)
        for action, value in flags:
            setattr(changes["custom"], action.dest, value)
    return replace(loaded, **changes)


def loaded_with_arguments(
    loaded: LoadedTest, request: Start, arguments: Sequence[str], file: Mapping[str, Any]
) -> tuple[LoadedTest, list[str]]:
    """Return the same as `loaded_for`, and the command line's arguments with the options of the run and without user
    classes, for another process. Raises ObswarmError."""
    changes = _changes(loaded, request)
    parser = make_parser(events, loaded.loadtest.name, file)
    _, names = parser.parse_known_args(list(arguments))
    # Of equal words, the names of classes are the later ones.
    own = list(reversed(arguments))
    for name in names:
        own.remove(name)
    own.reverse()
    changes["custom"], further, flags = _options(loaded, request.options, own, file)
    for action, value in flags:
        setattr(changes["custom"], action.dest, value)
        # Whether the command line has a flag of it or not.
        own = [each for each in own if each not in action.option_strings]
        is_there = value if isinstance(action, argparse.BooleanOptionalAction) else value == action.const
        further += option_arguments(action, f"options.{action.dest}", _text_of(is_there))
    return replace(loaded, **changes), [*own, *further]


def _changes(loaded: LoadedTest, request: Start) -> dict[str, Any]:
    """Return the classes and tags of a requested run, as fields of a LoadedTest. Raises ObswarmError."""
    changes: dict[str, Any] = {}
    if request.user_classes is not UNSET:
        loaded.loadtest.chosen(request.user_classes)
        changes["names"] = tuple(request.user_classes)
    for name, given in (("tags", request.tags), ("exclude_tags", request.exclude_tags)):
        if given is not UNSET:
            changes[name] = tuple(given)
    return changes


_Flags = list[tuple[argparse.Action, bool]]


def _options(
    loaded: LoadedTest, given: Mapping[str, Any], arguments: Sequence[str], file: Mapping[str, Any]
) -> tuple[OptionValues, list[str], _Flags]:
    """Return the values of options without those that are flags, the given ones as arguments, and the flags."""
    parser = make_parser(events, loaded.loadtest.name, file)
    actions = {action.dest: action for action in parser._actions}
    further: list[str] = []
    flags: _Flags = []
    for name, value in given.items():
        action = actions.get(name)
        if action is None:
            known = ", ".join(actions) or "none"
            raise ObswarmError(f"options: the load test has no option {name!r}; it has {known}.")
        if value is None:
            continue
        if isinstance(action, argparse._StoreTrueAction | argparse._StoreFalseAction | argparse.BooleanOptionalAction):
            if not isinstance(value, bool):
                raise ObswarmError(f"options: {name} is {value!r}; it has to be true or false.")
            flags.append((action, value))
        elif not action.option_strings:
            raise ObswarmError(f"options: {name} cannot be set here.")
        else:
            texts = tuple(map(str, value)) if isinstance(value, list) else _text_of(value)
            if name in parser.secrets:
                for text in texts if isinstance(texts, tuple) else (texts,):
                    register_secret(text)
            further += option_arguments(action, f"options.{name}", texts)
    values = OptionValues()
    values.secrets, values.secret_flags, values.long_names = parser.secrets, parser.secret_flags, parser.long_names
    parser.parse_known_args([*arguments, *further], values)
    return values, further, flags


def _text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stages(text: str | None) -> tuple[tuple[float, int], ...]:
    try:
        stages = parse_stages_text(text or "")
    except ValueError as error:
        raise ObswarmError(f"stages: {error}.") from None
    if max(stage.users for stage in stages) > MOST_USERS:
        raise ObswarmError(f"stages: more than {MOST_USERS:,} users.")
    if sum(stage.duration_s for stage in stages) > LONGEST_RUN_S:
        raise ObswarmError("stages: longer than 30 days altogether.")
    return tuple((stage.duration_s, stage.users) for stage in stages)


def _rate(text: str, of_server: str | None) -> str:
    if text == of_server:
        # The page's form has the value of the command line, which may be a query.
        return text
    if "/" not in text or text.strip().startswith("promql("):
        # The name of a file, or a query: neither files of the server nor its Prometheus are read for its clients.
        raise ObswarmError(
            f"arrival_rate is {text!r}; write it like 200/s, or 30s:50/s,2m:400/s. A curve of a file or a Prometheus is"
            " given as --arrival-rate when the server is started, and used for runs without a load of their own."
        )
    try:
        return format_rate_stages(parse_rate_stages(text))
    except ValueError as error:
        raise ObswarmError(f"arrival_rate: {error}.") from None


def _run_time(text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ObswarmError(f"run_time: {error}.") from None
    if not 0 < seconds <= LONGEST_RUN_S:
        raise ObswarmError(f"run_time is {text!r}; it has to be above 0s, and at most 30 days.")
    return seconds


def _host(text: str) -> str | None:
    stripped = text.strip()
    if not is_clean(stripped):
        raise ObswarmError(f"host is {text!r}; write it like https://www.example.com.")
    return stripped or None
