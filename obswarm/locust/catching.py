"""What the clients of HttpUser and FastHttpUser have in common: `with` blocks, and the environment that counts. Without
requests, which FastHttpUser does not import."""

from collections.abc import Iterator, MutableMapping
from typing import Any, ClassVar

from obswarm import clock
from obswarm.api import Environment, Events, RequestRecord, ResponseError, User
from obswarm.http import CatchResponse
from obswarm.http.catch_response import NotCatching
from obswarm.locust.exception import LocustError
from obswarm.stats import Recorder

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
