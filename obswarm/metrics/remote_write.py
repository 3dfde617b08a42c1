"""Prometheus remote write 1.0: push the metrics from where Prometheus cannot scrape.

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
from obswarm.engine import LingeringOutput, RunResult
from obswarm.greenlets import Supervisor
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, naming_by_options, quoted, trouble_of
from obswarm.metrics.exposition import cooperative
from obswarm.metrics.pushed_series import EncodedSeries, PushedSeries
from obswarm.metrics.schema import varint
from obswarm.metrics.series import PushCounts, SnapshotRegistry
from obswarm.record import Annotation, Snapshot
from obswarm.redact import redact_url

logger = logging.getLogger(__name__)

_NO_CREDENTIALS = ApiAccess()

_TIMESERIES_TAG = b"\x0a"  # field 1 of WriteRequest, length-delimited
_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
_TIMEOUT_S = 10.0
_LONGEST_S = 20.0
_MAX_RESPONSE_BYTES = 1024 * 1024
_STALE_AFTER_S = 1.0
"""Seconds from the last sample of a run to its stale markers, if the time allows it, so that queries still show the
last sample as for a scraped target."""
_MIN_STALE_AFTER_S = 0.001
"""At least this long, as sample timestamps are integers of milliseconds."""
_MIN_WAIT_S = 1.0
"""Minimum time for the final pushes, even with a shorter --linger; a healthy receiver needs less."""
_CONFLICTS = ("duplicate sample", "out of order", "out-of-order")
"""Error texts of receivers for samples older than the newest of their series."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A remote write receiver: URL and credentials."""

    url: str
    access: ApiAccess = _NO_CREDENTIALS

    @property
    def api_target(self) -> ApiTarget:
        """The receiver as error messages name it."""
        return ApiTarget(self.url, self.access, naming_by_options("remote-write"))


class Batch(NamedTuple):
    """A request body and its number of samples."""

    body: bytes
    samples: int


class RemoteWriter(LingeringOutput):
    """Output that pushes snapshots at an interval, in a background greenlet.

    Batches that cannot be delivered now (no connection, 429, 5xx) wait in a queue of at most `queue` batches and are
    retried with exponential backoff. Batches that overflow the queue or are refused (other 4xx) are counted as lost.
    At the end the rest and the stale markers are sent, for `linger_s` seconds at most.

    `instance` is the value of the label `instance`; None: host name and run id, so that each run has its own series.
    """

    def __init__(
        self,
        receiver: Receiver,
        latest: SnapshotRegistry,
        static_labels: Mapping[str, str] | None = None,
        interval_s: float = defaults.REMOTE_WRITE_INTERVAL_S,
        queue: int = defaults.REMOTE_WRITE_QUEUE,
        instance: str | None = None,
        linger_s: float = defaults.LINGER_S,
    ) -> None:
        super().__init__(linger_s)
        self._receiver = receiver
        self._snapshots = latest
        self._instance = instance
        self._series = PushedSeries({"job": "obswarm", **(static_labels or {})})
        self._interval_s = interval_s
        self._max_batches = queue
        self._queue: deque[Batch] = deque()
        self._queued = Event()
        self._pushed_at_s: float | None = None
        self._final: Snapshot | None = None
        self._last_time_s = 0.0
        self._sent = 0
        self._lost = {"refused": 0, "overflow": 0, "end": 0}
        self._receiver_failing = False
        self._refusals: set[str] = set()
        self._session = ApiSession(_MAX_RESPONSE_BYTES, _LONGEST_S, access=receiver.access)
        self._supervisor = Supervisor(self._on_greenlet_failed)
        self._failure: BaseException | None = None
        self._sender: Any = None
        self._encoding: list[Any] = []
        self._publish_counts()

    @property
    def name(self) -> str:
        return f"--remote-write {redact_url(self._receiver.url)}"

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        self._series.restore(snapshot.time_s)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Enqueue the snapshot if the push interval has passed. Does not block."""
        if self._failure is not None:
            raise self._failure
        due = self._pushed_at_s is None or snapshot.time_s - self._pushed_at_s >= self._interval_s - 0.05
        if due:
            self._pushed_at_s = snapshot.time_s
            self._enqueue(snapshot)

    def finish(self, result: RunResult) -> None:
        self._final = result.final

    def linger(self, longest_s: float) -> None:
        self.push_final(self._final, longest_s)

    def _on_greenlet_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def _enqueue(self, snapshot: Snapshot) -> None:
        if self._sender is None:
            self._warn_of_shared_instance()
            self._sender = self._supervisor.keep("The sender of --remote-write", self._send_all)
        instance = self._instance or f"{platform.node() or 'obswarm'}:{snapshot.run_id}"
        self._last_time_s = snapshot.time_s
        self._encode(lambda: self._series.encode(self._snapshots.families(snapshot.time_s), instance, snapshot.time_s))

    def _warn_of_shared_instance(self) -> None:
        if self._instance is not None:
            logger.warning(
                "--remote-write-instance %s: concurrent runs with the same instance and labels write to the same series"
                " and corrupt them. Use a different instance or --label for each run, or omit the option: the default"
                " (host and run id) is unique.",
                self._instance,
            )

    def _encode(self, pieces: Callable[[], Iterable[EncodedSeries]]) -> None:
        """Encode and compress a batch in a greenlet, then put it into the queue."""
        self._encoding = [greenlet for greenlet in self._encoding if not greenlet.dead]
        self._encoding.append(
            self._supervisor.spawn("The encoding for --remote-write", self._fill_batch, pieces, list(self._encoding))
        )

    def _fill_batch(self, pieces: Callable[[], Iterable[EncodedSeries]], before: list[Any]) -> None:
        # Batches must be sent in chronological order.
        gevent.joinall(before)
        encoded, samples = [], 0
        for piece in cooperative(pieces()):
            encoded.append(_TIMESERIES_TAG + varint(len(piece.encoded)) + piece.encoded)
            samples += piece.samples
        if len(self._queue) >= self._max_batches:
            self._lost["overflow"] += self._queue.popleft().samples
        self._queue.append(Batch(bytes(cramjam.snappy.compress_raw(b"".join(encoded))), samples))
        self._publish_counts()
        self._queued.set()

    def _send_all(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            while not self._queue:
                self._queued.clear()
                self._queued.wait()
            batch = self._queue[0]
            if self._send(batch):
                retry_s = _FIRST_RETRY_S
                # While it was sent, the batch may have been dropped from a full queue; it has been delivered, though.
                if self._queue and self._queue[0] is batch:
                    self._queue.popleft()
                else:
                    self._lost["overflow"] -= batch.samples
                self._publish_counts()
            else:
                gevent.sleep(retry_s)
                retry_s = min(_LONGEST_RETRY_S, retry_s * 2)

    def _send(self, batch: Batch) -> bool:
        """Send a batch. Return False if it has to be retried; True if it was accepted or refused for good."""
        receiver = self._receiver
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"obswarm/{__version__}",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        try:
            response = self._session.post(receiver.url, data=batch.body, headers=headers, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            self._on_receiver_failure(f"the receiver {failure_of(error, receiver.api_target, _TIMEOUT_S).text}")
            return False
        failure = trouble_of(
            response, receiver.api_target, "has no remote write endpoint at this path", may_be_empty=True
        )
        if failure is None:
            self._sent += batch.samples
            if self._receiver_failing:
                self._receiver_failing = False
                logger.info("--remote-write: the receiver accepts samples again.")
            return True
        what = f"the receiver {failure.text}"
        if response.status_code == 429 or response.status_code >= 500:
            self._on_receiver_failure(what)
            return False
        self._lost["refused"] += batch.samples
        if what not in self._refusals and len(self._refusals) < 10:
            self._refusals.add(what)
            logger.warning("--remote-write: %s. These samples are lost%s", what, self._conflict_hint(quoted(response)))
        return True

    def _conflict_hint(self, response_text: str) -> str:
        """Return a hint if the receiver has newer samples of the same series according to its response, else ""."""
        if self._instance is None or not any(text in response_text.lower() for text in _CONFLICTS):
            return ""
        return (
            f". Is another run pushing with --remote-write-instance {self._instance}? Concurrent runs need different"
            " instances; omit the option for a unique one"
        )

    def _on_receiver_failure(self, what: str) -> None:
        if not self._receiver_failing:
            self._receiver_failing = True
            logger.warning(
                "--remote-write: %s. The run goes on; up to %d pushes are queued and retried.",
                what,
                self._max_batches,
            )

    def push_final(self, final: Snapshot | None, longest_s: float) -> None:
        """Push the final snapshot (if there is one) and stale markers for all series, and wait for their delivery.

        Waits up to `longest_s` seconds, or one second if that is more and the receiver is not failing. Samples that
        are not delivered by then are counted as lost.
        """
        if final is not None:
            self._enqueue(final)
        if self._sender is None:
            return
        ended_s = self._last_time_s + max(_MIN_STALE_AFTER_S, min(_STALE_AFTER_S, longest_s))
        self._encode(lambda: self._series.end(ended_s))
        deadline = monotonic() + longest_s
        try:
            # Not limited by the deadline: encoding needs no I/O, and only encoded samples can be counted as lost.
            gevent.joinall(self._encoding)
            last_s = max(deadline, monotonic() + _MIN_WAIT_S)
            while self._queue and monotonic() < (deadline if self._receiver_failing else last_s):
                gevent.sleep(0.02)
            if self._instance is not None:
                # The next run may write to the same series; its samples have to be later than the stale markers.
                gevent.sleep(max(0.0, min(ended_s - wall(), deadline - monotonic())))
        finally:
            self._count_unsent_as_lost()

    def _count_unsent_as_lost(self) -> None:
        self._sender.kill()
        gevent.joinall(self._encoding, timeout=_MIN_WAIT_S)
        rest = sum(batch.samples for batch in self._queue)
        self._queue.clear()
        self._lost["end"] += rest
        self._publish_counts()
        lost = sum(self._lost.values())
        if not all(greenlet.dead for greenlet in self._encoding):
            for greenlet in self._encoding:
                greenlet.kill()
            logger.warning("--remote-write: the final samples of the run were not pushed.")
        if lost:
            logger.warning(
                "--remote-write: %s of %s samples were not delivered (%s).",
                f"{lost:,}",
                f"{lost + self._sent:,}",
                ", ".join(f"{reason}: {count:,}" for reason, count in self._lost.items() if count),
            )
        self._session.close()

    def _publish_counts(self) -> None:
        self._snapshots.count_pushes(PushCounts(self._sent, dict(self._lost)))
