"""A worker's connection to its master: handshake, bundle, reports as responses to heartbeats, unacknowledged deltas,
and loss of contact."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gevent
from gevent.event import AsyncResult

from obswarm import __version__, clock, defaults
from obswarm.api import InternalError, ObswarmError
from obswarm.cluster.bundle import cannot_write, unpack
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Bundle,
    BundleRequest,
    End,
    Failed,
    Heartbeat,
    Hello,
    Message,
    NotAMessage,
    Ready,
    Refused,
    Report,
    Reregister,
    Retransmit,
    Wait,
    Welcome,
    WorkerEvent,
    decode,
    encode,
)
from obswarm.cluster.wire.transport import DealerSocket
from obswarm.cluster.worker.identity import Identity
from obswarm.cluster.worker.unacked import UnackedDeltas
from obswarm.greenlets import Supervisor, described
from obswarm.stats.codec import OutOfBounds
from obswarm.temporary import TemporaryFolder
from obswarm.units import counted, format_limit

logger = logging.getLogger(__name__)

_WATCH_S = 0.1
_STALLED_S = 0.6
_HELLO_EVERY_S = 1.0
_QUIET_S = 1.5
_DIAL_AGAIN_S = 3.0
_RESEND_AFTER_S = 3.0
_BROKEN_HANDSHAKES = 5
_LONGEST_REASON = 16_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a worker that has loaded the load test."""

    capacity: float
    cpus: float
    nodes: tuple[str, ...]


class ConnectionListener(Protocol):
    """A worker or relay, called by its connection."""

    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        """Load the load test and measure the capacity, at the first call. Raises ObswarmError if that fails."""

    def assigned_users(self) -> dict[str, int]:
        """Return the assigned number of users by class."""

    def on_heartbeat(self) -> None:
        """Note a heartbeat of the master."""

    def collect(self, heartbeat: int) -> None:
        """Send a report; called after `on_heartbeat`, for heartbeats that request one."""

    def on_message(self, message: Message) -> None:
        """Handle any other message of the master."""

    def on_orphaned(self) -> None:
        """Stop all users, after too long without contact with the master."""

    def on_other_run(self) -> None:
        """Called when the master has another run than this worker."""


class MasterConnection:
    """A connection to a master; `run` blocks until the master ends it, and returns an exit code. Raises ObswarmError if
    the master refuses this worker, or after `give_up_after_s` seconds without contact with a master."""

    def __init__(
        self,
        context: Any,
        endpoint: str,
        keys: CurveKeys | None,
        identity: Identity,
        listener: ConnectionListener,
        give_up_after_s: float = defaults.GIVE_UP_AFTER_S,
        look_up: Callable[[], str] | None = None,
    ) -> None:
        """`look_up` resolves the endpoint again, as the master's name may have got another address."""
        self.unacked = UnackedDeltas()
        self.supervisor = Supervisor(self.part_failed)
        """Supervisor of the greenlets that this worker depends on."""
        self.identity = identity
        self.run_id = ""
        self.dropped_frames = 0
        self.unsent_messages = 0
        self._dial: Callable[[], DealerSocket] = lambda: DealerSocket(
            context, self._endpoint, keys, self._received, self.supervisor
        )
        self._look_up = look_up
        self._endpoint = endpoint
        self._has_secret = keys is not None
        self._listener = listener
        self._give_up_after_s = give_up_after_s
        self._socket: DealerSocket | None = None
        self._earlier_failures = 0
        """Failed handshakes of the connections before this one."""
        self._folder: TemporaryFolder | None = None
        self._bundle_hash = ""
        self._welcome: Welcome | None = None
        self._preparing = False
        self._is_ready = False
        self._orphaned = False
        self._warned = False
        self._orphan_timeout_s = defaults.ORPHAN_TIMEOUT_S
        self._heard_s: float | None = None
        self._started_s = self._hello_s = self._dialled_s = self._sent_s = clock.monotonic()
        self._finished: AsyncResult[int] = AsyncResult()

    def run(self) -> int:
        self._socket = self._dial()
        self._send_hello()
        watch = self.supervisor.keep("The watch on the master", self._watch)
        try:
            code: int = self._finished.get()
            return code
        finally:
            watch.kill()
            self._socket.close()

    def clean_up(self) -> None:
        """Remove the files that the master sent."""
        if self._folder is not None:
            self._folder.cleanup()

    def finish(self, code: int) -> None:
        """End `run` with an exit code, as if requested by the master."""
        self._finished.set(code)

    def fail(self, error: ObswarmError) -> None:
        self._finished.set_exception(error)

    def part_failed(self, what: str, error: BaseException) -> None:
        """Notify the master of a failed greenlet that this worker depends on, and end."""
        text = f"{what} failed: {described(error)}. This is a bug in obswarm; please report it."
        if self._welcome is not None and not self._is_ready:
            self.send(Failed(self._welcome.nonce, text))
        else:
            self.send(WorkerEvent("internal", f"{text} It happened on the worker {self.identity.name}."))
        # After the message has been sent.
        self.supervisor.spawn_later(_WATCH_S, "The end of this worker", self.fail, InternalError(text))

    def refuse_assignment(self, error: OutOfBounds) -> None:
        """An assignment cannot be carried out: tell the master, whose run ends with that error."""
        self.send(WorkerEvent("error", f"The worker {self.identity.name} refuses its assignment: {error}."))

    def send(self, message: Message) -> None:
        """Send a message, without retransmission if it is lost; statistics are retransmitted from `unacked`."""
        if self._socket is not None and not self._socket.send(encode(message)):
            self.unsent_messages += 1
            if self.unsent_messages == 1:
                logger.error("A message (%s) cannot be sent: the send queue is full.", type(message).__name__)

    def report(self, make: Callable[[int, bytes, int], Report], delta: bytes | None) -> None:
        """Send a report, with a new delta if there is one. `make` is called with sequence, delta and last sequence."""
        sequence = self.unacked.put(delta) if delta is not None else 0
        if sequence and len(self.unacked) == 1:
            self._sent_s = clock.monotonic()
        self.send(make(sequence, delta or b"", self.unacked.last_sequence))

    # Received messages.
    def _received(self, frame: bytes) -> None:
        try:
            message = decode(frame)
        except NotAMessage as error:
            self.dropped_frames += 1
            if self.dropped_frames == 1:
                logger.warning("The master sent an invalid message (%s); dropping it.", error)
            return
        self._heard_s = clock.monotonic()
        self._orphaned = False
        match message:
            case Heartbeat():
                self._acknowledge(message.acked)
                if self._is_ready:
                    self._listener.on_heartbeat()
                    if message.collect:
                        self._listener.collect(message.number)
            case Welcome():
                self._welcomed(message)
            case Wait():
                if self.run_id:
                    self._listener.on_other_run()
            case Bundle():
                self._fetched(message)
            case Reregister():
                self._send_hello()
            case Refused():
                self.fail(ObswarmError(f"The master at {self._where} refuses this worker: {message.reason}"))
            case End():
                self._acknowledge(message.acked)
                if self.unacked:
                    logger.warning(
                        "The run has ended without the last %s of this worker.", counted(len(self.unacked), "report")
                    )
                self._finished.set(message.exit_code)
            case _:
                self._listener.on_message(message)

    @property
    def _where(self) -> str:
        return self._endpoint.removeprefix("tcp://")

    def _acknowledge(self, sequence: int) -> None:
        before = len(self.unacked)
        self.unacked.acknowledge(sequence)
        now = clock.monotonic()
        if len(self.unacked) < before:
            self._sent_s = now
        elif self.unacked and self._is_ready and now - self._sent_s > _RESEND_AFTER_S:
            self._send_again()

    def _send_again(self) -> None:
        self._sent_s = clock.monotonic()
        for sequence, delta in self.unacked.waiting():
            self.send(Retransmit(sequence, delta))

    def _welcomed(self, welcome: Welcome) -> None:
        if self.run_id and welcome.run_id != self.run_id:
            self._listener.on_other_run()
            return
        self._welcome = welcome
        self._orphan_timeout_s = welcome.orphan_timeout_s
        self.unacked.acknowledge(welcome.acked)
        if welcome.bundle_hash and welcome.bundle_hash != self._bundle_hash:
            self.send(BundleRequest(welcome.bundle_hash))
        else:
            self._prepare()

    def _fetched(self, bundle: Bundle) -> None:
        welcome = self._welcome
        if welcome is None or bundle.bundle_hash != welcome.bundle_hash or self._bundle_hash == bundle.bundle_hash:
            return
        try:
            self._folder = self._unpacked(bundle)
        except ObswarmError as error:
            self.supervisor.spawn("The report of a failed preparation", self._report_failure, error)
            return
        self._bundle_hash = bundle.bundle_hash
        self._prepare()

    def _unpacked(self, bundle: Bundle) -> TemporaryFolder:
        try:
            folder = TemporaryFolder("worker")
        except OSError as error:
            raise cannot_write(error) from None
        try:
            unpack(bundle.packed, bundle.bundle_hash, Path(folder.name))
        except ObswarmError:
            folder.cleanup()
            raise
        return folder

    def _report_failure(self, error: ObswarmError) -> None:
        """Notify the master that this worker cannot run the load test, and end."""
        assert self._welcome is not None
        self.send(Failed(self._welcome.nonce, str(error)[:_LONGEST_REASON]))
        gevent.sleep(_WATCH_S)
        self.fail(error)

    def _prepare(self) -> None:
        if not self._preparing:
            self._preparing = True
            self.supervisor.spawn("The preparation of this worker", self._prepare_and_report)

    def _prepare_and_report(self) -> None:
        assert self._welcome is not None
        run_id = self._welcome.run_id
        try:
            prepared = self._listener.prepare(self._welcome, Path(self._folder.name) if self._folder else None)
        except ObswarmError as error:
            self._report_failure(error)
            return
        except Exception as error:
            logger.exception("Preparing the load test failed")
            self._report_failure(ObswarmError(f"The worker {self.identity.name} could not prepare: {error!r}"))
            return
        finally:
            self._preparing = False
        self.run_id = run_id
        # For the latest Welcome; another one may have arrived in the meantime.
        assigned = self._listener.assigned_users()
        self.send(
            Ready(self._welcome.nonce, prepared.capacity, prepared.cpus, assigned, prepared.nodes, self.unacked.acked)
        )
        self._is_ready = True
        self._send_again()

    # Timers.
    def _send_hello(self) -> None:
        self._hello_s = clock.monotonic()
        identity = self.identity
        self.send(
            Hello(
                PROTOCOL_VERSION,
                __version__,
                identity.incarnation,
                identity.name,
                identity.processes,
                identity.file_hash,
                self.run_id,
            )
        )

    def _watch(self) -> None:
        looked_s = clock.monotonic()
        while True:
            gevent.sleep(_WATCH_S)
            now = clock.monotonic()
            stalled, looked_s = now - looked_s > _STALLED_S, now
            if stalled:
                continue  # Messages that came while this process was not scheduled are read first.
            heard_s = self._heard_s if self._heard_s is not None else self._started_s
            silence_s = now - heard_s
            if silence_s > self._orphan_timeout_s and not self._orphaned and self._heard_s is not None:
                self._orphaned = True
                self._listener.on_orphaned()
            if silence_s > self._give_up_after_s:
                self._give_up()
                return
            self._warn_of_handshakes()
            if silence_s > _QUIET_S and now - self._hello_s > _HELLO_EVERY_S:
                if silence_s > _DIAL_AGAIN_S and now - self._dialled_s > _DIAL_AGAIN_S:
                    self._dial_again()
                self._send_hello()

    def _dial_again(self) -> None:
        # A dead connection may not be detected for minutes, and messages in its queue are outdated.
        self._dialled_s = clock.monotonic()
        assert self._socket is not None
        if self._look_up is not None:
            try:
                self._endpoint = self._look_up()
            except ObswarmError as error:
                logger.debug("%s", error)
        self._earlier_failures += self._socket.handshake_failures
        self._socket.close()
        self._socket = self._dial()

    def _warn_of_handshakes(self) -> None:
        """Warn of failed handshakes: a wrong secret, or a proxy without a master, so that the worker keeps trying."""
        if self._heard_s is None and self._handshake_failures >= _BROKEN_HANDSHAKES and not self._warned:
            self._warned = True
            logger.warning("%s closes connections during the handshake. %s", self._where, self._hint)

    @property
    def _handshake_failures(self) -> int:
        return self._earlier_failures + (self._socket.handshake_failures if self._socket is not None else 0)

    @property
    def _hint(self) -> str:
        own = "has one" if self._has_secret else "has none"
        return f"Check that both have the same secret; this worker {own} (--secret-file, OBSWARM_SECRET)."

    def _give_up(self) -> None:
        if self._heard_s is None:
            text = f"No master responds at {self._where}. Check that it is running and reachable from this machine."
            if self._handshake_failures:
                text = f"The master at {self._where} refuses the connection of this worker. {self._hint}"
        else:
            text = f"No contact with the master at {self._where} for {format_limit(self._give_up_after_s)}."
            if self.unacked:
                text += f" It has not received the last {counted(len(self.unacked), 'report')} of this worker."
        self.fail(ObswarmError(text))
