"""`locust.clients`: the client of HttpUser, with the arguments, exceptions and names of requests that Locust's has."""

import re
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from obswarm import clock, http
from obswarm.api import Environment, EventHook, Events, RequestRecord, ResponseError, User
from obswarm.http import CatchResponse, CountedResponse
from obswarm.http.catch_response import NotCatching
from obswarm.locust.exception import LocustError
from obswarm.locust.stand_in import StandIn
from obswarm.sanitize import to_text
from obswarm.stats import Recorder

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

_META = (
    "request_type",
    "response_time",
    "name",
    "context",
    "response",
    "exception",
    "start_time",
    "url",
    "response_length",
)


class RequestMeta(MutableMapping[str, Any]):
    """`response.request_meta`: the arguments of the `request` event. What a `with` block changes in it is counted so.

    Times are milliseconds (`response_time`) and seconds since the epoch (`start_time`), lengths bytes.
    """

    def __init__(self, record: RequestRecord, response: Any) -> None:
        self._record = record
        self._response = response

    def __getitem__(self, key: str) -> Any:
        record = self._record
        match key:
            case "request_type":
                return record.method
            case "response_time":
                return record.duration_s * 1000
            case "name":
                return record.name
            case "context":
                if record.context is None:
                    record.context = {}
                return record.context
            case "response":
                return self._response
            case "exception":
                return record.result
            case "start_time":
                return clock.wall() - (clock.monotonic() - record.started_s)
            case "url":
                first = self._response.history[0] if self._response.history else self._response
                return record.url if record.url is not None else str(first.url)
            case "response_length":
                return record.response_bytes
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        """Raises KeyError for what is no argument of the event, and for the response, which stays."""
        record = self._record
        match key:
            case "request_type":
                record.method = value
            case "response_time":
                record.duration_s = value / 1000
            case "name":
                record.name = value
            case "context":
                record.context = value
            case "exception":
                record.error = value
            case "start_time":
                record.started_s = clock.monotonic() - (clock.wall() - value)
            case "url":
                record.url = value
            case "response_length":
                record.response_bytes = value
            case _:
                raise KeyError(f"{key}: request_meta has {', '.join(_META)}; give anything else as context={{…}}")

    def __delitem__(self, key: str) -> None:
        raise KeyError(f"{key}: what request_meta has stays in it")

    def __iter__(self) -> Iterator[str]:
        return iter(_META)

    def __len__(self) -> int:
        return len(_META)

    def __repr__(self) -> str:
        return repr(dict(self))


class NotCatchingError(NotCatching, LocustError):
    """`success()` or `failure()` was called outside of a `with` block, or without catch_response=True."""


class BlockOfLocust(CatchResponse):
    """A `with` block as in Locust: of exceptions in it, ResponseError alone goes no further. Unlike there, the request
    is counted whatever is raised."""

    __slots__ = ()
    not_catching: ClassVar[type[NotCatching]] = NotCatchingError

    @property
    def request_meta(self) -> RequestMeta:
        """The arguments of the `request` event."""
        if self.record is None:
            raise AttributeError("this response is of a hop of a redirected request, and has no request_meta")
        return RequestMeta(self.record, self)

    @property
    def _manual_result(self) -> bool | BaseException | None:
        """True after success(), the exception after failure(reason), else None."""
        return None if self.record is None else self.record.verdict

    def _leave(self, raised: BaseException | None) -> tuple[BaseException | None, bool]:
        """Return the exception of the block that the request is counted with, and whether it goes no further."""
        is_judged = self._manual_result is not None
        # raise_for_status() says no more than that the request has failed, which it has already.
        reported = None if raised is not None and getattr(raised, "response", None) is self else raised
        return reported, not is_judged and isinstance(raised, ResponseError)


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


def environment_for(user: User | None, request_event: Any) -> Environment:
    """Return the environment in which a session counts its requests: the user's; without a user that of the event, or,
    of an event that belongs to no run, one that only fires it."""
    if user is not None:
        return user.environment
    environment = getattr(request_event, "environment", None)
    if isinstance(environment, Environment):
        return environment
    events = Events()
    if request_event is not None:
        events.request.add_listener(request_event.fire)
    return Environment(events=events, recorder=Recorder())
