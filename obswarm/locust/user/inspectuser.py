"""`locust.user.inspectuser`: how often each task runs, as shares of 1."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from obswarm.api import TaskSet, User
from obswarm.json_text import to_json
from obswarm.streams import echo, echo_lines

Ratios = dict[str, dict[str, Any]]
"""By the name of a class or task: its `ratio`, and the `tasks` in it if it has some."""

__all__ = ["get_ratio", "print_task_ratio", "print_task_ratio_json", "task_ratios"]


def get_ratio(user_classes: Sequence[type[User]], user_spawned: Mapping[str, int], total: bool) -> Ratios:
    """Return the ratios of classes and their tasks. `user_spawned` are users by class name; with `total`, the ratios of
    tasks are those among the tasks of all users."""
    users = sum(user_spawned.values()) or 1
    found: Ratios = {}
    for cls in user_classes:
        ratio = user_spawned.get(cls.__name__, 0) / users
        found[cls.__name__] = {"ratio": ratio, "tasks": _tasks(cls.tasks, ratio if total else 1.0, total)}
    return found


def task_ratios(user_classes: Sequence[type[User]], num_users: int | None) -> dict[str, Ratios]:
    """Return the ratios `per_class` and in `total`, for that number of users; None is the sum of the weights."""
    users = _distribution(user_classes, num_users)
    return {"per_class": get_ratio(user_classes, users, False), "total": get_ratio(user_classes, users, True)}


def print_task_ratio(user_classes: Sequence[type[User]], num_users: int | None, total: bool) -> None:
    """Print the ratios of `get_ratio` as a tree, in percent."""
    _print(get_ratio(user_classes, _distribution(user_classes, num_users), total), 0)


def print_task_ratio_json(user_classes: Sequence[type[User]], num_users: int | None) -> None:
    """Print the ratios of `task_ratios` as JSON."""
    echo_lines(to_json(task_ratios(user_classes, num_users), indent=4))


def _distribution(user_classes: Sequence[type[User]], num_users: int | None) -> dict[str, int]:
    fixed = sum(cls.fixed_count for cls in user_classes)
    weights = sum(cls.weight for cls in user_classes if not cls.fixed_count)
    users = num_users or (1 if fixed else int(weights))
    rest = max(0, users - fixed)
    return {
        cls.__name__: cls.fixed_count or (round(cls.weight / weights * rest) if weights else 0) for cls in user_classes
    }


def _tasks(tasks: Sequence[Any], share: float, total: bool) -> Ratios:
    found: Ratios = {}
    for entry, count in Counter(tasks).items():
        ratio = share * count / len(tasks)
        own: dict[str, Any] = {"ratio": ratio}
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            own["tasks"] = _tasks(entry.tasks, ratio if total else 1.0, total)
        found[getattr(entry, "__name__", repr(entry))] = own
    return found


def _print(ratios: Ratios, level: int) -> None:
    for name, own in ratios.items():
        indent = "  " * level
        echo(f" {indent}{own['ratio'] * 100:<6.1f}    {indent}{name}")
        _print(own.get("tasks", {}), level + 1)
