"""RequestRecord: one request of any protocol, from its begin until it is counted, exactly once."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from gevent import GreenletExit

from obswarm import clock
from obswarm.api.errors import STEERING_EXCEPTIONS, CatchResponseError
from obswarm.api.tracing import TraceSampler, traceparent
from obswarm.sanitize import is_a, to_number, to_seconds, to_size, to_text
from obswarm.stats import PhaseTimes, Recorder
from obswarm.stats.timings import Times

CUTS_OFF = (GreenletExit, GeneratorExit)
"""Exceptions that end a request without a result, since they end its user. Any other one that is raised while a request
is under way is its failure."""

_COUNTED = "obswarm_counted_as_cut_off"


def note_cut_off(error: BaseException) -> None:
    """Mark `error`, which ends a user: what it has cut off is counted, or nothing was under way."""
    setattr(error, _COUNTED, True)


def is_noted(error: BaseException) -> bool:
    """Return whether `note_cut_off` was called for the exception."""
    return getattr(error, _COUNTED, False)


def count_cut_off(
    recorder: Recorder, error: BaseException, kind: str, method: str, name: str, started_s: float
) -> None:
    """Count a request, a task or an on_stop (`kind`) that `error`, the end of its user, has cut off."""
    note_cut_off(error)
    recorder.record_cut_off(kind, method, name, clock.monotonic() - started_s)


class RequestListeners(Protocol):
    """The listeners of the `request` event."""

    listeners: list[Callable[..., Any]]

    def notify(self, /, **kwargs: Any) -> None: ...


class RequestRecord:
    """The record of one request of any protocol: under way while it lasts, then counted once.

    `environment.request(method, name)` makes one, to be used as a `with` block. The request is successful unless the
    block raises or calls `failure(reason)`; an exception in the block goes no further. StopUser, RescheduleTask and the
    like go through, and nothing is counted then; the forced end of the user counts the request as cut off; a
    gevent.Timeout or SystemExit makes it a failure and goes on.

    The block may set `response_bytes`, `status_code` (HTTP's; 0 for no answer, None for protocols without one),
    `timings` (a PhaseTimes: where the time went), `trace_id` and `response` (for listeners of the `request` event).
    `intended_start_s` is the moment (of `time.perf_counter()`) at which a request that follows a schedule was to begin:
    its response time counts from there as well. None: the request begins when it was meant to.

        with environment.request("SQL", "select user") as request:
            rows = connection.execute(query).fetchall()
            request.response_bytes = sum(map(len, rows))
            if not rows:
                request.failure("no such user")

    A client that finds out about its requests in another way calls `begin`, `end` and `report` itself.
    """

    __slots__ = (
        "_hook",
        "_recorder",
        "_sampler",
        "_verdict",
        "context",
        "duration_s",
        "error",
        "intended_start_s",
        "method",
        "name",
        "reported",
        "response",
        "response_bytes",
        "started_s",
        "status_code",
        "timings",
        "trace_id",
        "url",
    )

    def __init__(
        self,
        recorder: Recorder,
        hook: RequestListeners,
        method: str,
        name: str,
        started_s: float,
        context: dict[str, Any] | None = None,
        url: str | None = None,
        sampler: TraceSampler | None = None,
    ) -> None:
        """`started_s` is the moment of the monotonic clock at which the request begins; `context` and `url` are for
        listeners; `sampler` decides whether the request carries a trace id."""
        self._recorder = recorder
        self._hook = hook
        self._sampler = sampler
        self._verdict: bool | BaseException | None = None
        self.method = method
        self.name = name
        self.started_s = started_s
        self.context = context
        self.url = url
        self.duration_s = 0.0
        self.error: BaseException | None = None
        self.intended_start_s: float | None = None
        self.response: Any = None
        self.response_bytes = 0
        self.status_code: int | None = None
        self.timings: Times | None = None
        self.trace_id: str | None = None
        self.reported = False

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context to send along, None for a request that `--trace-sample` leaves out. The request counts
        as traced once this has been asked for."""
        if self.trace_id is None and self._sampler is not None:
            self.trace_id, self._sampler = self._sampler.sample(), None
        return None if self.trace_id is None else traceparent(self.trace_id)

    def success(self) -> None:
        """Count the request as successful, whatever is raised."""
        self._verdict = True

    def failure(self, reason: BaseException | str) -> None:
        """Count the request as failed for that reason."""
        self._verdict = reason if is_a(reason, BaseException) else CatchResponseError(to_text(reason))  # type: ignore[assignment]

    @property
    def is_judged(self) -> bool:
        """Whether `success` or `failure` was called."""
        return self._verdict is not None

    @property
    def verdict(self) -> bool | BaseException | None:
        """True after `success`, the reason after `failure`, else None."""
        return self._verdict

    @property
    def result(self) -> BaseException | None:
        """What the request is counted as failed for, as far as is known; None: a success."""
        if self._verdict is None:
            return self.error
        return None if isinstance(self._verdict, bool) else self._verdict

    def begin(self) -> None:
        """Mark the request as under way."""
        self._recorder.pending[self] = (self.method, self.name, self.started_s, False)

    def end(self, duration_s: float) -> None:
        """Mark the request as no longer under way, after so many seconds."""
        self._recorder.pending.pop(self, None)
        self.duration_s = duration_s

    def begin_body(self) -> None:
        """Mark the request as under way again, with an answer whose body is read while it arrives."""
        self._recorder.pending[self] = (self.method, self.name, self.started_s, True)

    def end_body(self) -> None:
        """Mark the request as no longer under way: its body has been read, or closed."""
        self._recorder.pending.pop(self, None)

    def cut_off(self, error: BaseException) -> None:
        """Count the request as cut off by `error`, the forced end of its user; it is not reported."""
        count_cut_off(self._recorder, error, "request", self.method, self.name, self.started_s)

    def report(self, response: Any = None) -> None:
        """Count the request, and tell the listeners of the `request` event. A second call does nothing."""
        if self.reported:
            return
        self.reported = True
        error = self.error if self._verdict is None else self.result
        self._recorder.record(
            self.method,
            self.name,
            self.duration_s,
            self.response_bytes,
            self.status_code,
            error,
            self.timings,
            self.trace_id,
            None if self.intended_start_s is None else self.started_s - self.intended_start_s,
        )
        if self.trace_id is not None and self._recorder.on_traced is not None:
            self._recorder.on_traced(self, error)
        hook = self._hook
        if hook.listeners:
            hook.notify(
                request_type=self.method,
                name=self.name,
                response_time=self.duration_s * 1000,
                response_length=self.response_bytes,
                response=response,
                context={} if self.context is None else self.context,
                exception=error,
                start_time=clock.wall() - (clock.monotonic() - self.started_s),
                url=self.url,
            )

    def __enter__(self) -> Self:
        self.started_s = clock.monotonic()
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.end(clock.monotonic() - self.started_s)
        if raised is not None:
            if isinstance(raised, STEERING_EXCEPTIONS):
                return False
            if isinstance(raised, CUTS_OFF):
                self.cut_off(raised)
                return False
            self.error = raised
        # The block may have set anything.
        if type(self.status_code) is not int:
            self.status_code = to_size(self.status_code)
        if type(self.intended_start_s) is not float:
            self.intended_start_s = to_number(self.intended_start_s)
        self.timings = _phase_times(self.timings)
        self.report(self.response)
        # A gevent.Timeout and the like belong to code around the block as well.
        return isinstance(raised, Exception)


def _phase_times(given: Any) -> PhaseTimes | None:
    """Return `timings` as a load test has set it, None when it is no tuple of that kind."""
    if not is_a(given, tuple) or tuple.__len__(given) != len(PhaseTimes._fields):
        return None
    connect_s, tls_s, first_byte_s, download_s = map(to_seconds, tuple.__iter__(given))
    return PhaseTimes(connect_s, tls_s, first_byte_s or 0.0, download_s or 0.0)
