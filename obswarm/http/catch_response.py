"""How an HTTP request is counted, in one way for both clients: its name, whether it failed, and what a load test may
say about that."""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from obswarm.api import CatchResponseError, RequestRecord, ResponseError, User
from obswarm.api.errors import STEERING_EXCEPTIONS
from obswarm.api.request import CUTS_OFF

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class RenamesRequests:
    """`rename_request()`, for a session of either client, which has the attribute `request_name`."""

    __slots__ = ()

    @contextmanager
    def rename_request(self, name: str) -> Generator[None, None, None]:
        """Requests made in the block are counted under this name unless they have their own."""
        session: Any = self
        before, session.request_name = session.request_name, name
        try:
            yield
        finally:
            session.request_name = before


def status_error(status_code: int, reason: str | None) -> ResponseError | None:
    """Return the failure that an HTTP status is: from 400 on; None below. Where the server gives no reason, the text
    has the standard's."""
    if status_code < 400:
        return None
    kind = "client" if status_code < 500 else "server"
    return ResponseError(f"HTTP {status_code} {reason or _PHRASES.get(status_code, '')}".rstrip() + f" ({kind} error)")


def add_context(record: RequestRecord, response: Any, user: User | None, context: Any) -> None:
    """Give the record the context of the user and of the call. The request has been made by then: when the load test's
    code raises here, the request is counted before that is raised."""
    try:
        record.context = {**(user.context() if user is not None else {}), **(context or {})}
    except BaseException:
        record.report(response)
        raise


def report_raised(
    record: RequestRecord, response: Any, user: User | None, context: Any, error: BaseException, was_sent: bool
) -> None:
    """Count a request during which `error` was raised, which goes on to the load test.

    The forced end of the user cuts the request off. A gevent.Timeout of the load test's and the like make it a failure,
    and so does an error of the load test's code (in a body or a hook) once something was sent; before that, no request
    was made.
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
    """What both clients' responses have in common: `success()`, `failure(reason)`, and the `with` block around them."""

    __slots__ = ()
    error: BaseException | None
    record: RequestRecord | None

    def success(self) -> None:
        """Count the request as successful whatever its status; needs catch_response=True and a `with` block."""
        self._uncounted().success()

    def failure(self, exc: BaseException | str) -> None:
        """Count the request as failed for that reason; needs catch_response=True and a `with` block."""
        self._uncounted().failure(exc)

    def _uncounted(self) -> RequestRecord:
        if self.record is None or self.record.reported:
            raise NotCatching(
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
        """Count the request, and return whether the exception of the block goes no further.

        An exception in the block makes the request a failure unless it only steers the user (StopUser, …) or ends it.
        With catch_response, ResponseError and CatchResponseError go no further, since they are ways to say `failure`;
        neither does the error that kept the answer from coming, as `raise_for_status` and `json` raise it, so that the
        rest of the task goes on when the target is down.
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
