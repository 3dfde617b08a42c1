"""`locust.user.task`."""

from obswarm.api import TaskSet, tag, task
from obswarm.api.tasks import UserTasks as DefaultTaskSet

LOCUST_STATE_RUNNING, LOCUST_STATE_WAITING, LOCUST_STATE_STOPPING = "running", "waiting", "stopping"

__all__ = [
    "LOCUST_STATE_RUNNING",
    "LOCUST_STATE_STOPPING",
    "LOCUST_STATE_WAITING",
    "DefaultTaskSet",
    "TaskSet",
    "tag",
    "task",
]
