"""Settings of user classes from outside the load-test file: which classes run, with which tags, attributes, weights."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from obswarm.api import ObswarmError, TaskSet, User
from obswarm.engine.loader import LoadTest, select

_CLASS = "user_class_name"


@dataclass(frozen=True, slots=True)
class UserSettings:
    """`names` are the classes to run, all without any; `configs` are JSON texts as `parse_user_config` reads them."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    equal_weights: bool = False

    def applied_to(self, loadtest: LoadTest) -> tuple[type[User], ...]:
        """Set attributes and tasks of a load test's classes, and return those that are to run.

        Raises ObswarmError for a class that is not there, and as `select` does.
        """
        tasks = {cls: list(cls.tasks) for cls in loadtest.user_classes}
        for text in self.configs:
            for config in parse_user_config(text):
                (cls,) = loadtest.chosen((config[_CLASS],))
                _configure(cls, config, tasks[cls])
        classes = select(loadtest.chosen(self.names), self.tags, self.exclude_tags)
        if self.equal_weights:
            give_equal_weights(classes)
        return classes


def parse_user_config(text: str) -> Iterator[dict[str, Any]]:
    """Parse a JSON object with `user_class_name` and attributes of that class, or a list of such objects. Raises
    ValueError, with a sentence without its full stop."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    for config in found if isinstance(found, list) else [found]:
        if not isinstance(config, dict) or not isinstance(config.get(_CLASS), str):
            raise ValueError(f'each class is a JSON object with its name: {{"{_CLASS}": "Visitor", "weight": 3}}')
        yield config


def give_equal_weights(classes: Sequence[type[User]]) -> None:
    """Give classes the same weight, and each task of theirs, those of nested TaskSets included, the same share: as
    Locust does, tasks of TaskSets become tasks of the user."""
    for cls in classes:
        cls.weight = 1
        cls.tasks = list(dict.fromkeys(_flat(cls.tasks)))


def _flat(tasks: Sequence[Any]) -> Iterator[Any]:
    for entry in tasks:
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            yield from _flat(entry.tasks)
        else:
            yield entry


def _configure(cls: type[User], config: dict[str, Any], tasks: Sequence[Any]) -> None:
    for name, value in config.items():
        if name == "tasks":
            there = [entry.__name__ for entry in tasks]
            wanted = value if isinstance(value, list) else [value]
            for each in wanted:
                if each not in there:
                    known = ", ".join(dict.fromkeys(there))
                    raise ObswarmError(f"--config-users: {cls.__name__} has no task {each!r}; it has {known}.")
            cls.tasks = [entry for entry in tasks if entry.__name__ in wanted]
        elif name != _CLASS:
            setattr(cls, name, value)
