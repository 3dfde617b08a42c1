"""Asking a source for what guards need, so that each answer has the time that it is about."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent.lock import Semaphore

from obswarm.greenlets import Supervisor, described, kill_all
from obswarm.guards.state_machine import NoData, Values
from obswarm.redact import redact_text
from obswarm.targets import MetricSource, SourceError

ASK_EVERY_S = 0.5
AT_ONCE = 4
"""Questions of one query that are under way; a source that takes longer than so many intervals is asked less often."""
ANSWER_WITHIN_S = 10.0
_MOST_KEPT = 120
"""Answers that wait to be taken, as before the load begins."""

Answer = tuple[float, Values]
"""(the time that it is about, what the query gave)."""


@dataclass(slots=True)
class Question:
    """A query about the time `at_s`; `values` is None until it is answered."""

    at_s: float
    values: Values | None = None
    asking: gevent.Greenlet | None = None


class QueryPolling:
    """Asks one query twice a second, each time about the moment of asking, while earlier questions are still under way.

    `take` gives what was answered in the order of the times that it is about. An answer waits for those to earlier
    questions, but not for one that `AT_ONCE` - 1 later ones have overtaken: that has no answer.
    """

    def __init__(
        self,
        source: MetricSource,
        query: str,
        monotonic: Callable[[], float],
    ) -> None:
        self.ended = ""
        """Why nobody asks any more."""
        self._source = source
        self._query = query
        self._monotonic = monotonic
        self._taken: Values = ()
        """What the last answer said."""
        self._questions: deque[Question] = deque()
        """In the order of their times; those that are under way, and answers behind them."""
        self._slot = Semaphore(AT_ONCE)
        self._supervisor = Supervisor(self._has_ended)
        self._polling: gevent.Greenlet | None = None

    def start(self) -> None:
        self._polling = self._supervisor.keep(f"The asking for {self._query}", self._poll)

    def close(self) -> None:
        under_way = [question.asking for question in self._questions]
        kill_all(greenlet for greenlet in (self._polling, *under_way) if greenlet is not None)

    def _has_ended(self, name: str, error: BaseException) -> None:
        self.ended = f"nobody asks any more: {described(error)}"

    def _poll(self) -> None:
        while True:
            due_s = self._monotonic() + ASK_EVERY_S
            self._slot.acquire()
            question = Question(self._monotonic())
            self._questions.append(question)
            if len(self._questions) > _MOST_KEPT:
                self._questions.popleft()
            question.asking = self._supervisor.spawn(f"The question {self._query}", self._ask, question)
            gevent.sleep(max(0.0, due_s - self._monotonic()))

    def _ask(self, question: Question) -> None:
        try:
            question.values = self._values(question.at_s)
        finally:
            # Also when it is killed, or has raised what nobody expects.
            if question.values is None:
                question.values = NoData("the question was given up")
            self._slot.release()

    def _values(self, at_s: float) -> Values:
        limit = gevent.Timeout(ANSWER_WITHIN_S)
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
            return NoData(f"no answer within {ANSWER_WITHIN_S:g} s")
        except Exception as error:
            # Whatever it is, a guard that does not see must say so instead of being silent.
            return NoData(described(error))

    def take(self) -> list[Answer]:
        """What has come since the last time, the earliest first."""
        taken: list[Answer] = []
        while self._questions:
            first = self._questions[0]
            if first.values is None:
                if sum(question.values is not None for question in self._questions) < AT_ONCE - 1:
                    break
                # Of a gap that is over, what was known of it while it lasted says more.
                overtaken = NoData("no answer came before those to later questions")
                first.values = self._taken if isinstance(self._taken, NoData) else overtaken
                if first.asking is not None:
                    first.asking.kill(block=False)
            self._taken = first.values
            taken.append((first.at_s, first.values))
            self._questions.popleft()
        return taken
