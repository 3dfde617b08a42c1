"""`locust.user`."""

from obswarm.api import TaskSet, User, tag, task
from obswarm.http import HttpUser

__all__ = ["HttpUser", "TaskSet", "User", "tag", "task"]
