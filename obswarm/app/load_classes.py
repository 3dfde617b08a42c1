"""The user classes of a load test as its files have defined them, for several runs in one process: options of a run
change them in place."""

from collections.abc import Iterator, Sequence
from typing import Any

from obswarm.api import TaskSet, User


class OriginalClasses:
    """Attributes of user classes and of the TaskSets in them."""

    def __init__(self, classes: Sequence[type[User]]) -> None:
        self._attributes = {cls: _attributes(cls) for cls in _with_nested(classes, set())}

    def restore(self) -> None:
        """Give the classes the attributes that they had."""
        for cls, attributes in self._attributes.items():
            for name in _attributes(cls).keys() - attributes.keys():
                delattr(cls, name)
            for name, value in attributes.items():
                setattr(cls, name, list(value) if name == "tasks" and isinstance(value, list) else value)


def _attributes(cls: type[Any]) -> dict[str, Any]:
    own = {name: value for name, value in vars(cls).items() if not name.startswith("__")}
    if isinstance(own.get("tasks"), list):
        own["tasks"] = list(own["tasks"])
    return own


def _with_nested(classes: Sequence[Any], seen: set[Any]) -> Iterator[Any]:
    for cls in classes:
        if isinstance(cls, type) and issubclass(cls, User | TaskSet) and cls not in seen:
            seen.add(cls)
            yield cls
            yield from _with_nested(list(getattr(cls, "tasks", ())), seen)
