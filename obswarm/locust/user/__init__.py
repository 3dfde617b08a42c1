"""`locust.user`."""

from obswarm.api import TaskSet, User, tag, task
from obswarm.locust.user.users import HttpUser

__all__ = ["HttpUser", "TaskSet", "User", "tag", "task"]
