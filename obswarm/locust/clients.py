"""`locust.clients`: the client of HttpUser, with the arguments, exceptions and names of requests that Locust's has."""

import re
from types import TracebackType
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from obswarm import http
from obswarm.api import EventHook, RequestRecord, User
from obswarm.http import CountedResponse
from obswarm.locust.catching import BlockOfLocust, NotCatchingError, RequestMeta, environment_for
from obswarm.locust.stand_in import StandIn
from obswarm.sanitize import to_text

__all__ = [
    "BlockOfLocust",
    "HttpSession",
    "LocustHttpAdapter",
    "NotCatchingError",
    "RequestMeta",
    "ResponseContextManager",
    "RestResponseContextManager",
    "absolute_http_url_regexp",
    "environment_for",
]

absolute_http_url_regexp = re.compile(r"^https?://", re.IGNORECASE)


class ResponseContextManager(CountedResponse, BlockOfLocust):
    """The response of a request of HttpUser's client. Without an answer, `content` is None."""

    @classmethod
    def unanswered(cls, *what: Any) -> CountedResponse:
        """As in Locust; see CountedResponse."""
        made = super().unanswered(*what)
        made._content = None
        return made

    def json(self, **kwargs: Any) -> Any:
        """As in requests, also without an answer: raises JSONDecodeError, which load tests catch."""
        if self.error is None:
            return super().json(**kwargs)
        error = requests.exceptions.JSONDecodeError("Expecting value", "", 0)
        # It says no more than that there is no answer.
        error.response = self
        raise error from self.error

    @property
    def ok(self) -> bool:
        """What the load test has said with success() or failure(); else whether the status is below 400."""
        declared = self._manual_result
        return super().ok if declared is None else declared is True

    def raise_for_status(self) -> None:
        """As in requests, unless the load test has said what the request is: success() leaves nothing to raise, and
        after failure(reason) that is raised."""
        declared = self._manual_result
        if isinstance(declared, BaseException):
            raise declared
        if declared is None:
            super().raise_for_status()

    def __exit__(  # type: ignore[override]  # as of its base
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool:
        reported, ends_here = self._leave(raised)
        CountedResponse.__exit__(self, kind, reported, traceback)
        return ends_here


RestResponseContextManager = ResponseContextManager


class LocustHttpAdapter(HTTPAdapter):
    """requests' own transport over connections that sessions share: those of a urllib3 `pool_manager`."""

    def __init__(self, pool_manager: PoolManager | None, *args: Any, **kwargs: Any) -> None:
        self._shared = pool_manager
        super().__init__(*args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests', unless there is a shared one."""
        super().init_poolmanager(*args, **kwargs)
        if self._shared is not None:
            self.poolmanager = self._shared

    def close(self) -> None:
        """As requests', but for connections that other sessions use."""
        if self._shared is None:
            super().close()


class HttpSession(http.HttpSession, metaclass=StandIn):
    """A client of HttpUser. What fails a request is requests' HTTPError, with its `response`."""

    stands_for = http.HttpSession
    response_class: ClassVar[type[CountedResponse]] = ResponseContextManager

    def __init__(
        self, base_url: str | None, request_event: EventHook, user: User | None, pool_manager: PoolManager | None = None
    ) -> None:
        """Requests are counted in the user's run, and its `request` event is fired; without a user, `request_event` is.
        With a `pool_manager` requests go over its connections, by requests' own transport."""
        super().__init__(environment_for(user, request_event), base_url, user)
        self.request_event = request_event
        if pool_manager is not None:
            self.mount("https://", LocustHttpAdapter(pool_manager))
            self.mount("http://", LocustHttpAdapter(pool_manager))

    def failure_of(self, response: Any, record: RequestRecord) -> BaseException | None:
        """Return requests' HTTPError, with the name of the request in place of its URL."""
        status, reason = response.status_code, to_text(response.reason or "")
        kind = "Client Error" if status < 500 else "Server Error" if status < 600 else "Error"
        return requests.HTTPError(f"{status} {kind}: {reason} for url: {record.name}", response=response)

    def reason_of(self, error: requests.RequestException) -> BaseException:
        """Return requests' exception for a timeout and the like, and for a connection that failed what failed it."""
        return super().reason_of(error) if isinstance(error, requests.ConnectionError) else error
