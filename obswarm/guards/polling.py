"""Poll a metric source with the queries of guards; each result has the evaluation time of its query."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent.lock import Semaphore

from obswarm.greenlets import Supervisor, described, kill_all
from obswarm.guards.state_machine import NoData, Values
from obswarm.redact import redact_text
from obswarm.targets import MetricSource, SourceError
from obswarm.units import format_limit

POLL_INTERVAL_S = 0.5
MAX_CONCURRENT = 4
"""Maximum number of concurrent requests of one query; a source that takes longer than as many intervals is polled less
often."""
TIMEOUT_S = 10.0
_MAX_RESULTS = 120
"""Maximum number of results that wait for `take`, e.g. before the load starts."""

TimedResult = tuple[float, Values]
"""(evaluation time, result of the query)."""


@dataclass(slots=True)
class PendingQuery:
    """A query evaluated at the time `at_s`; `values` is None until there is a response."""

    at_s: float
    values: Values | None = None
    greenlet: gevent.Greenlet | None = None


class QueryPolling:
    """Poll one query twice a second, evaluated at the current time, also while earlier requests are in flight.

    `take` returns the results in the order of their evaluation times: a response waits for those of earlier requests. A
    request that `MAX_CONCURRENT` - 1 later ones have overtaken counts as one without a response.
    """

    def __init__(
        self,
        source: MetricSource,
        query: str,
        monotonic: Callable[[], float],
    ) -> None:
        self.ended = ""
        """Why polling has ended; empty while it is running."""
        self._source = source
        self._query = query
        self._monotonic = monotonic
        self._last_result: Values = ()
        """The values of the last response."""
        self._pending: deque[PendingQuery] = deque()
        """Requests in flight, and responses that wait for them, in the order of their evaluation times."""
        self._slot = Semaphore(MAX_CONCURRENT)
        self._supervisor = Supervisor(self._note_end)
        self._polling: gevent.Greenlet | None = None

    def start(self) -> None:
        self._polling = self._supervisor.keep(f"The polling of {self._query}", self._poll)

    def close(self) -> None:
        senders = [pending.greenlet for pending in self._pending]
        kill_all(greenlet for greenlet in (self._polling, *senders) if greenlet is not None)

    def _note_end(self, name: str, error: BaseException) -> None:
        self.ended = f"polling has ended: {described(error)}"

    def _poll(self) -> None:
        while True:
            due_s = self._monotonic() + POLL_INTERVAL_S
            self._slot.acquire()
            pending = PendingQuery(self._monotonic())
            self._pending.append(pending)
            if len(self._pending) > _MAX_RESULTS:
                self._pending.popleft()
            pending.greenlet = self._supervisor.spawn(f"The query {self._query}", self._send, pending)
            gevent.sleep(max(0.0, due_s - self._monotonic()))

    def _send(self, pending: PendingQuery) -> None:
        try:
            pending.values = self._values(pending.at_s)
        finally:
            # Also after a kill or an unexpected exception.
            if pending.values is None:
                pending.values = NoData("the query was cancelled")
            self._slot.release()

    def _values(self, at_s: float) -> Values:
        limit = gevent.Timeout(TIMEOUT_S)
        try:
            with limit:
                values = tuple(float(sample.value) for sample in self._source.query(self._query, at_s))
            if values or self._source.filters_all(self._query, at_s):
                return values
            why = self._source.why_no_series(self._query)
            return NoData(f"no series for {redact_text(self._query)}{': ' if why else ''}{why}")
        except SourceError as error:
            return NoData(str(error))
        except gevent.Timeout as passed:
            if passed is not limit:
                raise
            return NoData(f"no response within {format_limit(TIMEOUT_S)}")
        except Exception as error:
            # A guard has to report that it has no data, for any exception.
            return NoData(described(error))

    def take(self) -> list[TimedResult]:
        """Return the responses since the last call, the earliest first."""
        taken: list[TimedResult] = []
        while self._pending:
            first = self._pending[0]
            if first.values is None:
                if sum(pending.values is not None for pending in self._pending) < MAX_CONCURRENT - 1:
                    break
                # If the last result had no data either, its reason is more specific.
                overtaken = NoData("later queries have returned earlier")
                first.values = self._last_result if isinstance(self._last_result, NoData) else overtaken
                if first.greenlet is not None:
                    first.greenlet.kill(block=False)
            self._last_result = first.values
            taken.append((first.at_s, first.values))
            self._pending.popleft()
        return taken
