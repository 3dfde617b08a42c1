"""RemoteSupply: the rows of a worker's feeds, from its master."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gevent.event import AsyncResult, Event
from gevent.queue import Empty, SimpleQueue

from obswarm.api import Environment, ObswarmError
from obswarm.api.feed import used_rows
from obswarm.cluster.wire.feed_calls import ERROR, MESSAGE, pack_call, pack_used, unpack_answer
from obswarm.engine import CustomMessage
from obswarm.greenlets import Supervisor

_REPEAT_S = 1.0


@dataclass(slots=True)
class _Request:
    kind: str
    feed: str
    used: int
    position: int
    done: Callable[[list[Any]], None]
    result: "AsyncResult[str | None]" = field(default_factory=AsyncResult)
    """An error message, or None."""


class RemoteSupply:
    """Makes calls to the master, one at a time, in a greenlet of its own: a user that is killed while it waits takes no
    rows with it. A call is repeated until it is answered, also by a master that was started again."""

    def __init__(
        self, send: Callable[[str, Any], None], stop_run: Callable[[str], None], supervisor: Supervisor
    ) -> None:
        self._send = send
        self._stop_run = stop_run
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        self._present: _Request | None = None
        self._number = 0
        """Number of the last call that was answered."""
        self._answer: list[Any] = []
        self._answered = Event()
        self._reported: dict[str, int] = {}
        supervisor.keep("The worker's calls for rows", self._work)

    # RowSupply.
    def call(self, kind: str, feed: str, used: int, position: int, done: Callable[[list[Any]], None]) -> None:
        request = _Request(kind, feed, used, position, done)
        self._requests.put(request)
        error = request.result.get()
        if error is not None:
            raise ObswarmError(error)

    def stop(self, detail: str) -> None:
        self._stop_run(detail)

    def received(self, environment: Environment, msg: CustomMessage) -> None:
        """Take an answer of the master."""
        number, answer = unpack_answer(msg.data)
        if number == self._number + 1:
            self._answer = answer
            self._answered.set()

    def report_used(self) -> None:
        """Report how many rows users have taken, if it has changed since the last time."""
        used = used_rows()
        if used != self._reported:
            self._reported = used
            self._send(MESSAGE, pack_used(used))

    def _work(self) -> None:
        while True:
            self.report_used()
            if self._present is None:
                try:
                    self._present = self._requests.get(timeout=_REPEAT_S)
                except Empty:
                    continue
            self._answered.clear()
            request = self._present
            number = self._number + 1
            self._send(MESSAGE, pack_call(number, request.kind, request.feed, request.used, request.position))
            if not self._answered.wait(_REPEAT_S):
                continue
            answer, self._number, self._present = self._answer, number, None
            if answer[0] == ERROR:
                request.result.set(str(answer[1]))
            else:
                request.done(answer)
                request.result.set(None)
