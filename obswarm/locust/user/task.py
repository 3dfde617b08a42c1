"""`locust.user.task`."""

from collections.abc import Set as AbstractSet
from typing import Any

from obswarm.api import TaskSet, filter_by_tags, tag, task
from obswarm.api.user_tasks import UserTasks as DefaultTaskSet

LOCUST_STATE_RUNNING, LOCUST_STATE_WAITING, LOCUST_STATE_STOPPING = "running", "waiting", "stopping"

TaskSetMeta = type(TaskSet)
"""The metaclass of TaskSets, for those that have one of their own."""

__all__ = [
    "LOCUST_STATE_RUNNING",
    "LOCUST_STATE_STOPPING",
    "LOCUST_STATE_WAITING",
    "DefaultTaskSet",
    "TaskSet",
    "TaskSetMeta",
    "filter_tasks_by_tags",
    "tag",
    "task",
]


def filter_tasks_by_tags(
    task_holder: Any,
    tags: AbstractSet[str] | None = None,
    exclude_tags: AbstractSet[str] | None = None,
    checked: dict[Any, bool] | None = None,
) -> None:
    """Leave those tasks of a user class or TaskSet, and of TaskSets in it, that have one of `tags` and none of
    `exclude_tags`; None: whatever they have. Of tasks in `checked` that says whether they stay, and others are added.
    """
    filter_by_tags(
        task_holder,
        None if tags is None else frozenset(tags),
        None if exclude_tags is None else frozenset(exclude_tags),
        verdicts=checked,
    )
