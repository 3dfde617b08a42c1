"""Declare the tasks of a user class or TaskSet: the decorators, and the lists of tasks that classes have."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from obswarm.api.errors import LoadTestError

Task = Any
"""A function or method of the user (or TaskSet), or a TaskSet class."""
TaskT = TypeVar("TaskT", bound=Callable[..., Any])

WEIGHT_ATTRIBUTE = "obswarm_task_weight"
TAGS_ATTRIBUTE = "obswarm_tags"


@overload
def task(weight: TaskT) -> TaskT: ...
@overload
def task(weight: int = 1) -> Callable[[TaskT], TaskT]: ...
def task(weight: TaskT | int = 1) -> TaskT | Callable[[TaskT], TaskT]:
    """Make a method (or a nested TaskSet class) a task: `@task`, or `@task(3)` to have it picked thrice as often.

    Raises ValueError for a weight that is not a whole number of at least 0.
    """
    if callable(weight):
        setattr(weight, WEIGHT_ATTRIBUTE, 1)
        return weight
    if not _is_weight(weight):
        raise ValueError(f"@task({weight!r}): the weight has to be a whole number, 0 or more")

    def mark(function: TaskT) -> TaskT:
        setattr(function, WEIGHT_ATTRIBUTE, weight)
        return function

    return mark


def _is_weight(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def tag(*tags: str) -> Callable[[TaskT], TaskT]:
    """Give a task or a TaskSet names by which `--tags` and `--exclude-tags` choose; nested tasks inherit them."""
    if not tags or any(callable(name) for name in tags):
        raise ValueError("@tag needs one or more names: @tag('search', 'read')")

    def mark(function: TaskT) -> TaskT:
        setattr(function, TAGS_ATTRIBUTE, getattr(function, TAGS_ATTRIBUTE, frozenset()) | set(tags))
        return function

    return mark


def expand_tasks(tasks: object, owner: str) -> list[Task]:
    """Return a `tasks` attribute (list, list of (task, weight), or dict of weights) as a list with repetitions."""
    if isinstance(tasks, dict):
        pairs: Iterable[Any] = tasks.items()
    elif isinstance(tasks, list | tuple | set):
        pairs = tasks
    else:
        raise LoadTestError(
            f"{owner}.tasks is a {type(tasks).__name__}; it has to be a list of tasks or a dict of task: weight."
        )
    expanded: list[Task] = []
    for item in pairs:
        entry, weight = item if isinstance(item, tuple) else (item, 1)
        if not callable(entry) or not _is_weight(weight):
            raise LoadTestError(
                f"{owner}.tasks holds {item!r}; each entry is a task, or a task with a whole number as its weight."
            )
        expanded.extend([entry] * weight)
    return expanded


def collect_tasks(cls: type) -> list[Task]:
    """Return the tasks of the base classes, then of the `tasks` attribute, then those marked with @task, in order."""
    collected: list[Task] = []
    for base in cls.__bases__:
        collected.extend(getattr(base, "tasks", None) or [])
    own = cls.__dict__.get("tasks")
    if own is not None:
        collected.extend(expand_tasks(own, cls.__name__))
    for value in list(cls.__dict__.values()):
        weight = getattr(value, WEIGHT_ATTRIBUTE, None)
        if weight is not None and callable(value):
            collected.extend([value] * weight)
    return collected


def collect_tasks_in_order(cls: type) -> list[Task]:
    """As collect_tasks, but a `tasks` attribute stands where it was declared among the methods."""
    collected: list[Task] = []
    for base in cls.__bases__:
        collected.extend(getattr(base, "tasks", None) or [])
    for key, value in list(cls.__dict__.items()):
        if key == "tasks":
            collected.extend(expand_tasks(value, cls.__name__))
        elif callable(value) and hasattr(value, WEIGHT_ATTRIBUTE):
            collected.extend([value] * getattr(value, WEIGHT_ATTRIBUTE))
    return collected
