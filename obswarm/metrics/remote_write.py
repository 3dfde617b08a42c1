"""Prometheus remote write (version 1.0), for places that cannot be scraped: the contract's series, pushed.

https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

import logging
import platform
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cramjam
import gevent
import requests
from gevent.event import Event

from obswarm import __version__, defaults
from obswarm.clock import monotonic, wall
from obswarm.engine import Output
from obswarm.greenlets import Supervisor
from obswarm.http import ApiAccess, ApiSession, Asked, failure_of, naming_by_options, quoted, trouble_of
from obswarm.metrics.exposition import unhurried
from obswarm.metrics.pushed_series import Piece, PushedSeries
from obswarm.metrics.schema import varint
from obswarm.metrics.series import PushCounts, SnapshotRegistry
from obswarm.redact import redact_url
from obswarm.stats import Annotation, Snapshot

logger = logging.getLogger(__name__)

_ANYBODY = ApiAccess()

_TIMESERIES_TAG = b"\x0a"  # field 1 of WriteRequest, length-delimited
_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
_TIMEOUT_S = 10.0
_LONGEST_S = 20.0
_LARGEST_ANSWER_BYTES = 1024 * 1024
_ENDS_AFTER_S = 1.0
"""From the last sample of a run to the stale markers, when there is so much time. Until then it is shown, as one of a
target that is scraped."""
_SOONEST_END_S = 0.001
"""Times of samples are in whole milliseconds."""
_LEAST_S = 1.0
"""For the last pushes, however short a wait was asked for: a receiver that is there takes them in less."""
_CONFLICTS = ("duplicate sample", "out of order", "out-of-order")
"""What receivers say of samples of a series that has newer ones."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to push, and how to be let in."""

    url: str
    access: ApiAccess = _ANYBODY

    @property
    def asked(self) -> Asked:
        """As failures name it."""
        return Asked(self.url, self.access, naming_by_options("remote-write"))


class Batch(NamedTuple):
    """A request's body, and how many samples are in it."""

    body: bytes
    samples: int


class RemoteWriter(Output):
    """Pushes at an interval, in the background, and never holds the run up.

    What the receiver cannot take now (no connection, 429, 5xx) waits in a queue of at most `queue` batches and is
    tried again; what does not fit any more, or is refused (other 4xx), is counted as lost. `push_the_end` sends
    the rest, and stale markers.

    `instance` is the label of that name; None makes one of this machine and the run, so that no other run writes to
    the same series.
    """

    def __init__(
        self,
        receiver: Receiver,
        latest: SnapshotRegistry,
        static_labels: Mapping[str, str] | None = None,
        interval_s: float = defaults.REMOTE_WRITE_INTERVAL_S,
        queue: int = defaults.REMOTE_WRITE_QUEUE,
        instance: str | None = None,
    ) -> None:
        self._receiver = receiver
        self._latest = latest
        self._instance = instance
        self._series = PushedSeries({"job": "obswarm", **(static_labels or {})})
        self._interval_s = interval_s
        self._most = queue
        self._queue: deque[Batch] = deque()
        self._news = Event()
        self._pushed_at_s: float | None = None
        self._last_time_s = 0.0
        self._sent = 0
        self._lost = {"refused": 0, "overflow": 0, "end": 0}
        self._troubled = False
        self._refusals: set[str] = set()
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, access=receiver.access)
        self._supervisor = Supervisor(self._part_failed)
        self._failure: BaseException | None = None
        self._sender: Any = None
        self._encoding: list[Any] = []
        self._tell()

    @property
    def name(self) -> str:
        return f"--remote-write {redact_url(self._receiver.url)}"

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        self._series.written_until_s = snapshot.time_s

    def snapshot(self, snapshot: Snapshot) -> None:
        """Push this snapshot when the interval is over; the caller does not wait."""
        if self._failure is not None:
            raise self._failure
        due = self._pushed_at_s is None or snapshot.time_s - self._pushed_at_s >= self._interval_s - 0.05
        if due:
            self._pushed_at_s = snapshot.time_s
            self._start(snapshot)

    def _part_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def _start(self, snapshot: Snapshot) -> None:
        if self._sender is None:
            self._warn_of_namesakes()
            self._sender = self._supervisor.keep("The sender of --remote-write", self._send_all)
        instance = self._instance or f"{platform.node() or 'obswarm'}:{snapshot.run_id}"
        self._last_time_s = snapshot.time_s
        self._encode(lambda: self._series.encode(self._latest.families(snapshot.time_s), instance, snapshot.time_s))

    def _warn_of_namesakes(self) -> None:
        if self._instance is not None:
            logger.warning(
                "--remote-write-instance %s: a run that pushes at the same time with the same name and labels writes to"
                " the same series, and both are spoilt. Give each its own name or --label, or leave the name out: the"
                " default, host and run id, is one of the run's own.",
                self._instance,
            )

    def _encode(self, pieces: Callable[[], Iterable[Piece]]) -> None:
        """Put a batch of these messages into the queue, some time."""
        self._encoding = [greenlet for greenlet in self._encoding if not greenlet.dead]
        self._encoding.append(
            self._supervisor.spawn("The encoding for --remote-write", self._fill_batch, pieces, list(self._encoding))
        )

    def _fill_batch(self, pieces: Callable[[], Iterable[Piece]], before: list[Any]) -> None:
        # Batches have to be in the order of time.
        gevent.joinall(before)
        encoded, samples = [], 0
        for piece in unhurried(pieces()):
            encoded.append(_TIMESERIES_TAG + varint(len(piece.encoded)) + piece.encoded)
            samples += piece.samples
        if len(self._queue) >= self._most:
            self._lost["overflow"] += self._queue.popleft().samples
        self._queue.append(Batch(bytes(cramjam.snappy.compress_raw(b"".join(encoded))), samples))
        self._tell()
        self._news.set()

    def _send_all(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            while not self._queue:
                self._news.clear()
                self._news.wait()
            batch = self._queue[0]
            if self._send(batch):
                retry_s = _FIRST_RETRY_S
                # It may have been pushed out of a full queue while it was under way; then it was sent all the same.
                if self._queue and self._queue[0] is batch:
                    self._queue.popleft()
                else:
                    self._lost["overflow"] -= batch.samples
                self._tell()
            else:
                gevent.sleep(retry_s)
                retry_s = min(_LONGEST_RETRY_S, retry_s * 2)

    def _send(self, batch: Batch) -> bool:
        """True when there is nothing left to do for it: it has arrived, or never will."""
        receiver = self._receiver
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"obswarm/{__version__}",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        try:
            answer = self._session.post(receiver.url, data=batch.body, headers=headers, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            self._trouble(f"the receiver {failure_of(error, receiver.asked, _TIMEOUT_S).text}")
            return False
        failure = trouble_of(answer, receiver.asked, "takes no remote write at that path", may_be_empty=True)
        if failure is None:
            self._sent += batch.samples
            if self._troubled:
                self._troubled = False
                logger.info("--remote-write: the receiver takes samples again.")
            return True
        what = f"the receiver {failure.text}"
        if answer.status_code == 429 or answer.status_code >= 500:
            self._trouble(what)
            return False
        self._lost["refused"] += batch.samples
        if what not in self._refusals and len(self._refusals) < 10:
            self._refusals.add(what)
            logger.warning("--remote-write: %s. Those samples are lost%s", what, self._conflict_hint(quoted(answer)))
        return True

    def _conflict_hint(self, said: str) -> str:
        """What is likely when the receiver has newer samples of the same series."""
        if self._instance is None or not any(text in said.lower() for text in _CONFLICTS):
            return ""
        return (
            f". Does another run push as --remote-write-instance {self._instance}? Two at a time need two names,"
            " or none: the default is one of the run's own"
        )

    def _trouble(self, what: str) -> None:
        if not self._troubled:
            self._troubled = True
            logger.warning(
                "--remote-write: %s. The run goes on; up to %d pushes are kept for when the receiver is back.",
                what,
                self._most,
            )

    def push_the_end(self, final: Snapshot | None, longest_s: float) -> None:
        """Push the end of the run (None when it has no last snapshot) and stale markers for all that was pushed, and
        wait until everything has arrived, for so many seconds at most; for a second at most when that is more and the
        receiver has not failed. What has not arrived then is counted as lost."""
        if final is not None:
            self._start(final)
        if self._sender is None:
            return
        ended_s = self._last_time_s + max(_SOONEST_END_S, min(_ENDS_AFTER_S, longest_s))
        self._encode(lambda: self._series.end(ended_s))
        deadline = monotonic() + longest_s
        try:
            # It waits for nobody, and what is not encoded cannot be counted.
            gevent.joinall(self._encoding)
            last_s = max(deadline, monotonic() + _LEAST_S)
            while self._queue and monotonic() < (deadline if self._troubled else last_s):
                gevent.sleep(0.02)
            if self._instance is not None:
                # The next run may write to the same series, from its start on: that has to be after the markers.
                gevent.sleep(max(0.0, min(ended_s - wall(), deadline - monotonic())))
        finally:
            self._account_for_the_rest()

    def _account_for_the_rest(self) -> None:
        self._sender.kill()
        gevent.joinall(self._encoding, timeout=_LEAST_S)
        rest = sum(batch.samples for batch in self._queue)
        self._queue.clear()
        self._lost["end"] += rest
        self._tell()
        lost = sum(self._lost.values())
        if not all(greenlet.dead for greenlet in self._encoding):
            for greenlet in self._encoding:
                greenlet.kill()
            logger.warning("--remote-write: the end of the run was not pushed.")
        if lost:
            logger.warning(
                "--remote-write: %s of %s samples did not arrive (%s).",
                f"{lost:,}",
                f"{lost + self._sent:,}",
                ", ".join(f"{reason}: {count:,}" for reason, count in self._lost.items() if count),
            )
        self._session.close()

    def _tell(self) -> None:
        self._latest.push = PushCounts(self._sent, dict(self._lost))
