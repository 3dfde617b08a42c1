"""Counting of HTTP requests, the same for both clients: name, success or failure, and catch_response."""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, Self

from obswarm.api import CatchResponseError, RequestRecord, ResponseError, User
from obswarm.api.errors import STEERING_EXCEPTIONS
from obswarm.api.request import CUTS_OFF

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class CountedSession:
    """Base of both clients' sessions: `rename_request()`, and the failure for a response's status. A session has the
    attribute `request_name`."""

    __slots__ = ()
    closed_with_user: ClassVar[bool] = True
    """A client of this class is closed when its user ends."""

    @contextmanager
    def rename_request(self, name: str) -> Generator[None, None, None]:
        """Requests made in the block are counted under this name unless they have their own."""
        session: Any = self
        before, session.request_name = session.request_name, name
        try:
            yield
        finally:
            session.request_name = before

    def failure_of(self, response: Any, record: RequestRecord) -> BaseException | None:
        """Return the failure of a request by its response, None for a success. It is called for statuses from
        400 on."""
        return status_error(response.status_code, response.reason)


def status_error(status_code: int, reason: str | None) -> ResponseError | None:
    """Return the failure for a status from 400 on, None for a lower one. Without a reason phrase of the server, that of
    the standard is used."""
    if status_code < 400:
        return None
    kind = "client" if status_code < 500 else "server"
    return ResponseError(f"HTTP {status_code} {reason or _PHRASES.get(status_code, '')}".rstrip() + f" ({kind} error)")


def add_context(record: RequestRecord, response: Any, user: User | None, context: Any) -> None:
    """Set the record's context to those of the user and of the call, once the request has been made. If the load test's
    code raises an exception here, the request is counted first."""
    try:
        record.context = {**(user.context() if user is not None else {}), **(context or {})}
    except BaseException:
        record.report(response)
        raise


def report_raised(
    record: RequestRecord, response: Any, user: User | None, context: Any, error: BaseException, was_sent: bool
) -> None:
    """Count a request during which `error` was raised; the caller raises it again.

    If the user was killed, the request counts as cut off. A gevent.Timeout of the load test and other exceptions that
    are no Exception make it a failure. So does an error in the load test's code (a body or a hook) after something was
    sent; if nothing was sent, no request is counted.
    """
    if isinstance(error, CUTS_OFF):
        record.cut_off(error)
    elif was_sent or not isinstance(error, Exception):
        record.error = error
        record.status_code = 0
        add_context(record, response, user, context)
        record.report(response)


class NotCatching(RuntimeError):
    """`success()` or `failure()` was called where it has no effect: a mistake of the load-test file."""


class CatchResponse:
    """Base of both clients' responses: `success()`, `failure(reason)`, and the `with` block."""

    __slots__ = ()
    error: BaseException | None
    record: RequestRecord | None
    not_catching: ClassVar[type[NotCatching]] = NotCatching
    """Class of the exception that `success()` and `failure()` raise where they have no effect."""

    def success(self) -> None:
        """Count the request as successful whatever its status; needs catch_response=True and a `with` block."""
        self._uncounted().success()

    def failure(self, exc: BaseException | str) -> None:
        """Count the request as failed for that reason; needs catch_response=True and a `with` block."""
        self._uncounted().failure(exc)

    def _uncounted(self) -> RequestRecord:
        if self.record is None or self.record.reported:
            raise self.not_catching(
                "success() and failure() work inside a `with` block, on a request made with catch_response=True."
            )
        return self.record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool:
        """Count the request, and return whether the exception of the block is suppressed.

        An exception in the block makes the request a failure, unless it controls the user (StopUser, …) or kills it.
        With catch_response, ResponseError and CatchResponseError are suppressed, since they declare a failure. So is
        the connection error of this request, which `raise_for_status` and `json` raise again: the rest of the task runs
        although the target is down.
        """
        record = self.record
        if record is None:
            return False
        catching = not record.reported
        if raised is None or isinstance(raised, (*STEERING_EXCEPTIONS, *CUTS_OFF)):
            declared = False
        elif raised is self.error:
            declared = catching
        else:
            declared = catching and isinstance(raised, ResponseError | CatchResponseError)
            if not record.is_judged:
                record.failure(raised)
        record.report(self)
        return declared
