"""Whether a request failed, decided in one way for both clients, and the one report that it gets."""

from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from obswarm import clock
from obswarm.api import CatchResponseError, Environment, ResponseError, User
from obswarm.api.errors import STEERING_EXCEPTIONS
from obswarm.api.measured import CUTS_OFF, as_failure, count_cut_off
from obswarm.stats import PhaseTimes

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def status_error(status_code: int, reason: str | None) -> ResponseError | None:
    """The failure that an HTTP status is, or None: from 400 on an answer is a failure. Where the server gives no
    reason, its text has the standard's."""
    if status_code < 400:
        return None
    kind = "client" if status_code < 500 else "server"
    return ResponseError(f"HTTP {status_code} {reason or _PHRASES.get(status_code, '')}".rstrip() + f" ({kind} error)")


class NotCatching(RuntimeError):
    """`success()` or `failure()` where it has no effect: a mistake of the load-test file, worth a traceback."""


class RequestRecord:
    """One request's result until it is reported. With `catch_response` the load-test file may override it first."""

    __slots__ = (
        "context",
        "duration_s",
        "environment",
        "error",
        "method",
        "name",
        "reported",
        "response_bytes",
        "started_s",
        "status_code",
        "timings",
        "trace_id",
        "url",
        "verdict",
    )

    def __init__(
        self,
        environment: Environment,
        method: str,
        name: str,
        url: str,
        duration_s: float,
        status_code: int,
        response_bytes: int,
        error: BaseException | None,
        context: dict[str, Any],
        timings: PhaseTimes | None = None,
        trace_id: str | None = None,
    ) -> None:
        self.environment = environment
        self.method = method
        self.name = name
        self.url = url
        self.duration_s = duration_s
        self.status_code = status_code
        self.response_bytes = response_bytes
        self.error = error
        self.context = context
        self.timings = timings
        self.trace_id = trace_id
        self.started_s = clock.wall() - duration_s
        self.verdict: bool | BaseException | None = None
        self.reported = False

    def succeed(self) -> None:
        self.verdict = True

    def fail(self, reason: BaseException | str) -> None:
        self.verdict = as_failure(reason)

    def add_context(self, response: Any, user: User | None, given: Any) -> None:
        """The user's own and that of the call. Whatever the load test's code raises in there is raised once the
        request, which has been made by then, is counted."""
        try:
            self.context = {**(user.context() if user is not None else {}), **(given or {})}
        except BaseException:
            self.report(response)
            raise

    def report(self, response: Any) -> None:
        """Count the request and tell listeners; a second call does nothing."""
        if self.reported:
            return
        self.reported = True
        error = self.error
        if self.verdict is True:
            error = None
        elif isinstance(self.verdict, BaseException):
            error = self.verdict
        environment = self.environment
        environment.recorder.record(
            self.method,
            self.name,
            self.duration_s,
            self.response_bytes,
            self.status_code,
            error,
            self.timings,
            self.trace_id,
        )
        hook = environment.events.request
        if hook.listeners:
            hook.notify(
                request_type=self.method,
                name=self.name,
                response_time=self.duration_s * 1000,
                response_length=self.response_bytes,
                response=response,
                context=self.context,
                exception=error,
                start_time=self.started_s,
                url=self.url,
            )

    def report_raised(self, response: Any, user: User | None, given: Any, error: BaseException, was_sent: bool) -> None:
        """Count a request in whose middle something was raised that goes on to the load test.

        The forced end of the user cuts it off. A gevent.Timeout of the load test's and the like make it a failure, and
        so does an error of its code (that of a body, a hook) once something was sent; before, no request was made.
        """
        if isinstance(error, CUTS_OFF):
            started_s = clock.monotonic() - self.duration_s
            count_cut_off(self.environment.recorder, error, "request", self.method, self.name, started_s)
        elif was_sent or not isinstance(error, Exception):
            self.add_context(response, user, given)
            self.report(response)

    def leave(self, response: Any, raised: BaseException | None) -> bool:
        """The end of a `with` block: report, and say whether what was raised in it goes no further.

        An exception in the block makes the request a failure (it could not be judged) unless it only steers the
        user's course, or ends the user by force. A ResponseError or CatchResponseError is a way to say `failure` and
        ends there, and so does what kept the answer from coming, as `raise_for_status` and `json` raise it: the request
        is counted with that, and the rest of the task goes on when the target is down. Without catch_response, nothing
        ends there.
        """
        catching = not self.reported
        if raised is None or isinstance(raised, (*STEERING_EXCEPTIONS, *CUTS_OFF)):
            declared = False
        elif raised is response.error:
            declared = catching
        else:
            declared = catching and isinstance(raised, ResponseError | CatchResponseError)
            if self.verdict is None:
                self.verdict = raised
        self.report(response)
        return declared


class CatchResponse:
    """What both clients' responses have in common: `success()`, `failure(reason)`, and the `with` block around them."""

    __slots__ = ()
    outcome: RequestRecord | None

    def success(self) -> None:
        """Count the request as successful whatever its status; needs catch_response=True and a `with` block."""
        self._catching().succeed()

    def failure(self, exc: BaseException | str) -> None:
        """Count the request as failed for that reason; needs catch_response=True and a `with` block."""
        self._catching().fail(exc)

    def _catching(self) -> RequestRecord:
        if self.outcome is None or self.outcome.reported:
            raise NotCatching(
                "success() and failure() work inside a `with` block, on a request made with catch_response=True."
            )
        return self.outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool:
        return self.outcome.leave(self, raised) if self.outcome is not None else False
