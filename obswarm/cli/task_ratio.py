"""`--show-task-ratio`: how often each task will run, by user class and over all users."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from obswarm.api import TaskSet, User
from obswarm.streams import say

_INDENT = "  "


def print_task_ratio(classes: Sequence[type[User]]) -> None:
    """Two trees: shares within a class, and shares among all users by the classes' weights."""
    say("Task ratio per user class")
    for cls in classes:
        _print(cls, 1.0, 1)
    total = sum(cls.fixed_count or cls.weight for cls in classes)
    say("")
    say("Task ratio over all users (weights; fixed counts as weights)")
    for cls in classes:
        _print(cls, (cls.fixed_count or cls.weight) / total, 1)


def _print(owner: Any, share: float, depth: int) -> None:
    say(f"{_INDENT * depth}{share:6.1%}  {owner.__name__}")
    tasks = getattr(owner, "tasks", [])
    for entry, count in Counter(tasks).items():
        part = share * count / len(tasks)
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            _print(entry, part, depth + 1)
        else:
            say(f"{_INDENT * (depth + 1)}{part:6.1%}  {getattr(entry, '__name__', repr(entry))}")
