"""One call of any protocol while it is made: known as under way, timed, and counted exactly once when it ends."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gevent import GreenletExit

from obswarm import clock
from obswarm.api.errors import STEERING_EXCEPTIONS, CatchResponseError
from obswarm.sanitize import is_a, to_seconds, to_size, to_text
from obswarm.stats import PhaseTimes, Recorder

if TYPE_CHECKING:
    from obswarm.api.environment import Environment

CUTS_OFF = (GreenletExit, GeneratorExit)
"""What ends a request that cannot be judged then. Anything else that is raised in its middle is its failure."""

_COUNTED = "obswarm_counted_as_cut_off"


def note_cut_off(error: BaseException) -> None:
    """What raised this in a user has been counted, or had nothing under way that would have to be."""
    setattr(error, _COUNTED, True)


def is_noted(error: BaseException) -> bool:
    """Whether `note_cut_off` was called for it."""
    return getattr(error, _COUNTED, False)


def count_cut_off(
    recorder: Recorder, error: BaseException, kind: str, method: str, name: str, started_s: float
) -> None:
    """Count a request, a task or an on_stop (`kind`) that `error`, the end of its user, has cut off."""
    note_cut_off(error)
    recorder.record_cut_off(kind, method, name, clock.monotonic() - started_s)


class MeasuredCall:
    """A `with` block that is one request: under way from its begin to its end, when `_count` counts it.

    An exception in the block is kept as `error`, and goes no further, unless it is no Exception (gevent.Timeout,
    SystemExit). One that only steers the user's course goes through, and nothing is counted; the forced end of the user
    counts it as cut off.
    """

    __slots__ = ("_method", "_name", "_recorder", "_started_s", "duration_s", "error", "started_wall_s")

    def __init__(self, recorder: Recorder | None, method: str, name: str) -> None:
        self.error: BaseException | None = None
        self.duration_s = 0.0
        self._recorder = recorder
        self._method = method
        self._name = name

    def _count(self) -> None:
        """It has ended, after `duration_s`, with `error` or without."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.started_wall_s = clock.wall()
        self._started_s = clock.monotonic()
        if self._recorder is not None:
            self._recorder.under_way[self] = (self._method, self._name, self._started_s, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.duration_s = clock.monotonic() - self._started_s
        recorder = self._recorder
        if recorder is not None:
            recorder.under_way.pop(self, None)
        if raised is not None:
            if isinstance(raised, STEERING_EXCEPTIONS):
                return False
            if isinstance(raised, CUTS_OFF):
                # The user was stopped in the middle of it.
                if recorder is not None:
                    count_cut_off(recorder, raised, "request", self._method, self._name, self._started_s)
                return False
            self.error = raised
        self._count()
        # A gevent.Timeout and the like are somebody's around the block, too.
        return isinstance(raised, Exception)


class MeasuredRequest(MeasuredCall):
    """What `environment.request(method, name)` gives: the record of one request of any protocol, as a `with` block.

    It counts as successful unless the block raises or calls `failure(reason)`; an exception in the block goes no
    further. The block may set `response_bytes`, `status_code` (HTTP's, 0 for no answer, None for protocols without
    one), `timings` (where the time went) and `response` (for listeners of the `request` event).

        with environment.request("SQL", "select user") as request:
            rows = connection.execute(query).fetchall()
            request.response_bytes = sum(map(len, rows))
            if not rows:
                request.failure("no such user")
    """

    __slots__ = (
        "_context",
        "_environment",
        "_url",
        "_verdict",
        "response",
        "response_bytes",
        "status_code",
        "timings",
    )

    def __init__(
        self,
        environment: "Environment",
        method: str,
        name: str,
        *,
        context: dict[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(environment.recorder, method, name)
        self.response_bytes = 0
        self.status_code: int | None = None
        self.timings: PhaseTimes | None = None
        self.response: Any = None
        self._environment = environment
        self._context = context
        self._url = url
        self._verdict: bool | BaseException | None = None

    def success(self) -> None:
        """Count it as successful, whatever the block raises."""
        self._verdict = True

    def failure(self, reason: BaseException | str) -> None:
        """Count it as failed for that reason."""
        self._verdict = as_failure(reason)

    def _count(self) -> None:
        error = self.error
        if self._verdict is True:
            error = None
        elif isinstance(self._verdict, BaseException):
            error = self._verdict
        status_code, timings = self.status_code, self.timings
        if type(status_code) is not int:
            status_code = to_size(status_code)
        self._environment.recorder.record(
            self._method, self._name, self.duration_s, self.response_bytes, status_code, error, _phase_times(timings)
        )
        hook = self._environment.events.request
        if hook.listeners:
            hook.notify(
                request_type=self._method,
                name=self._name,
                response_time=self.duration_s * 1000,
                response_length=self.response_bytes,
                response=self.response,
                context={} if self._context is None else self._context,
                exception=error,
                start_time=self.started_wall_s,
                url=self._url,
            )


def as_failure(reason: object) -> BaseException:
    """What `failure(reason)` makes the error of a request."""
    return reason if is_a(reason, BaseException) else CatchResponseError(to_text(reason))  # type: ignore[return-value]


def _phase_times(given: Any) -> PhaseTimes | None:
    """What a load test says about where the time went, None when it cannot be read."""
    if not is_a(given, tuple) or tuple.__len__(given) != len(PhaseTimes._fields):
        return None
    connect_s, tls_s, first_byte_s, download_s = map(to_seconds, tuple.__iter__(given))
    return PhaseTimes(connect_s, tls_s, first_byte_s or 0.0, download_s or 0.0)
