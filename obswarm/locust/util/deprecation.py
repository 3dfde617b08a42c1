"""`locust.util.deprecation`: user classes and task sequences as locustfiles had them before version 1 of Locust."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from obswarm.api import SequentialTaskSet, TaskSet, User, between, task
from obswarm.api.task_declaration import WEIGHT_ATTRIBUTE

logger = logging.getLogger(__name__)
TaskT = TypeVar("TaskT", bound=Callable[..., Any])

_ORDER_ATTRIBUTE = "obswarm_task_order"

_DEFAULT_MS = 1000
"""Wait time of users of that time that say nothing about it."""


class Locust(User):
    """User, with `task_set`, `min_wait` and `max_wait` (milliseconds)."""

    abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        translate(cls, "Locust", "User")
        super().__init_subclass__(**kwargs)


class TaskSequence(SequentialTaskSet):
    """SequentialTaskSet, whose tasks run in the order of the numbers that `seq_task` gives them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        logger.warning(
            "%s: TaskSequence and seq_task are deprecated since version 1 of Locust; write SequentialTaskSet and @task,"
            " in the order in which the tasks are to run.",
            cls.__name__,
        )
        # Tasks of the same number keep the order of their definition.
        cls.tasks = sorted(cls.tasks, key=lambda entry: getattr(entry, _ORDER_ATTRIBUTE, 1))


def seq_task(order: int) -> Callable[[TaskT], TaskT]:
    """Make a method the task of that number of a TaskSequence; `@task(3)` beside it has it run thrice."""

    def mark(function: TaskT) -> TaskT:
        setattr(function, _ORDER_ATTRIBUTE, order)
        return function if hasattr(function, WEIGHT_ATTRIBUTE) else task(function)

    return mark


def translate(cls: Any, old: str, new: str) -> None:
    """Set `tasks` and `wait_time` from the old attributes."""
    logger.warning(
        "%s: %s, task_set, min_wait and max_wait are deprecated since version 1 of Locust; write %s, tasks = [%s] and"
        " wait_time = between(…) in seconds.",
        cls.__name__,
        old,
        new,
        getattr(cls.__dict__.get("task_set"), "__name__", "TASKSET"),
    )
    task_set = cls.__dict__.get("task_set")
    if task_set is not None:
        cls.tasks = [task_set]
        _set_waits(task_set, set())
    if not any("wait_time" in owner.__dict__ for owner in cls.__mro__ if owner.__module__ != User.__module__):
        cls.wait_time = _wait_of(cls) or between(_DEFAULT_MS / 1000, _DEFAULT_MS / 1000)


def _set_waits(task_set: Any, seen: set[Any]) -> None:
    if not (isinstance(task_set, type) and issubclass(task_set, TaskSet)) or task_set in seen:
        return
    seen.add(task_set)
    if task_set.wait_time is None:
        task_set.wait_time = _wait_of(task_set)
    for entry in task_set.tasks:
        _set_waits(entry, seen)


def _wait_of(owner: Any) -> Any:
    """Return what min_wait, max_wait or wait_function of a class say; None when there is none of them."""
    function = getattr(owner, "wait_function", None)
    if function is not None:
        return lambda self: function(self) / 1000
    low, high = getattr(owner, "min_wait", None), getattr(owner, "max_wait", None)
    if low is None and high is None:
        return None
    low = _DEFAULT_MS if low is None else low
    high = _DEFAULT_MS if high is None else high
    return between(low / 1000, max(low, high) / 1000)
