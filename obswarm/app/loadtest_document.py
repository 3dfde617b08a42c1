"""What may be chosen for a run of a load test: its user classes, tasks, tags and options, as a document of the API."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import Any

from obswarm import defaults
from obswarm.api import Stage, TaskSet, User, events, format_stages, make_parser
from obswarm.api.task_declaration import TAGS_ATTRIBUTE
from obswarm.app.planning import LoadedTest
from obswarm.config import RunConfig
from obswarm.engine import weight_of
from obswarm.json_text import to_json
from obswarm.sanitize import clean_text
from obswarm.units import format_duration
from obswarm.web.rest.documents import LoadTestDocument, Option, TaskRow, UserClass

_MAX_TEXT = 2000


def loadtest_document(loaded: LoadedTest, config: RunConfig) -> LoadTestDocument:
    """Return the document, with the values of a configuration as defaults."""
    loadtest, load = loaded.loadtest, config.load
    classes = [_user_class(cls, loaded) for cls in loadtest.user_classes]
    tags = sorted({tag for cls in classes for task in cls.tasks for tag in task.tags})
    return LoadTestDocument(
        name=loadtest.name,
        user_classes=classes,
        shape=None if loadtest.shape is None else type(loadtest.shape).__name__,
        tags=tags,
        options=list(_options(loaded)),
        defaults={
            "users": defaults.USERS if load.users is None else load.users,
            "spawn_rate": defaults.SPAWN_RATE if load.spawn_rate is None else load.spawn_rate,
            "run_time": None if load.run_time is None else format_duration(load.run_time),
            "stages": format_stages([Stage(*each) for each in load.stages]) if load.stages else None,
            "arrival_rate": load.arrival_rate,
            "host": load.host,
            "user_classes": list(loaded.names),
            "tags": list(loaded.tags),
            "exclude_tags": list(loaded.exclude_tags),
            "profile": config.store.profile,
        },
    )


def _user_class(cls: type[User], loaded: LoadedTest) -> UserClass:
    weight = weight_of(cls)
    rate = getattr(cls, "arrival_rate", None)
    return UserClass(
        name=cls.__name__,
        weight=float(weight.weight),
        fixed_count=cls.fixed_count or 0,
        host=cls.host,
        arrival_rate=None if rate is None else clean_text(rate),
        chosen=not loaded.names or cls.__name__ in loaded.names,
        description=clean_text(cleandoc(cls.__doc__ or ""), _MAX_TEXT),
        tasks=list(task_rows(cls, 1.0, frozenset())),
    )


def task_rows(owner: Any, share: float, inherited: frozenset[str]) -> Iterator[TaskRow]:
    """Yield the tasks of a user class or TaskSet, those of nested TaskSets as `TaskSet.task`, with their shares."""
    tasks: Sequence[Any] = getattr(owner, "tasks", [])
    for entry, count in Counter(tasks).items():
        part = share * count / len(tasks)
        tags = inherited | getattr(entry, TAGS_ATTRIBUTE, frozenset())
        name = clean_text(getattr(entry, "__name__", repr(entry)))
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            for row in task_rows(entry, part, tags):
                yield TaskRow(f"{name}.{row.name}", row.ratio, row.tags)
        else:
            yield TaskRow(name, round(part, 6), sorted(map(clean_text, tags)))


def _options(loaded: LoadedTest) -> Iterator[Option]:
    parser = make_parser(events, loaded.loadtest.name)
    for name, action in parser.args_included_in_web_ui.items():
        if not action.option_strings:
            continue
        flag = next((each for each in action.option_strings if each.startswith("--")), action.option_strings[0])
        secret = name in parser.secrets
        is_multiple = bool(getattr(action, "is_multiple", False)) or action.nargs in ("*", "+")
        yield Option(
            name=name,
            flag=flag,
            type=_type_of(action),
            choices=None if action.choices is None else [str(each) for each in action.choices],
            default=None if secret else _default_of(getattr(loaded.custom, name, action.default)),
            required=bool(getattr(action, "is_required", False)) or action.required,
            multiple=is_multiple,
            secret=secret,
            help=clean_text((action.help or "").replace("%(default)s", str(action.default)), _MAX_TEXT),
        )


def _type_of(action: argparse.Action) -> str:
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return "flag"
    return {int: "integer", float: "number"}.get(action.type, "text")  # type: ignore[call-overload,no-any-return]


def _default_of(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return to_json(value) if isinstance(value, dict) else str(value)
