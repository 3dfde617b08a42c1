"""`locust.clients`: the client of HttpUser."""

from typing import Any

from obswarm import http
from obswarm.api import EventHook, User
from obswarm.http import CountedResponse
from obswarm.locust.stand_in import StandIn

ResponseContextManager = CountedResponse
RestResponseContextManager = CountedResponse

__all__ = ["HttpSession", "ResponseContextManager", "RestResponseContextManager"]


class HttpSession(http.HttpSession, metaclass=StandIn):
    """A further client of a user, with the arguments that Locust's has."""

    stands_for = http.HttpSession

    def __init__(self, base_url: str, request_event: EventHook, user: User, *args: Any, **kwargs: Any) -> None:
        """Requests are counted in the user's run, and its `request` event is fired; `request_event` can be
        no other one. Raises TypeError for further arguments: connections are obswarm's own, with no `pool_manager`."""
        if args or any(value is not None for value in kwargs.values()):
            raise TypeError("HttpSession takes base_url, request_event and user; it has no pool_manager")
        super().__init__(user.environment, base_url, user)
