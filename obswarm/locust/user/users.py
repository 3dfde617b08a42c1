"""`locust.user.users`."""

from obswarm.api import User
from obswarm.http import HttpUser

__all__ = ["HttpUser", "User"]
