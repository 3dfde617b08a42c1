"""A worker's side of the connection: says hello, fetches the files, answers pulses, keeps what is not acknowledged,
and notices when no master is there any more."""

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
from obswarm.cluster.worker.unacked import UnackedDeltas
from obswarm.greenlets import Supervisor, described
from obswarm.stats.codec import OutOfBounds
from obswarm.temporary import TemporaryFolder
from obswarm.units import counted

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
class Identity:
    """Who a worker is. `incarnation` is new with each process."""

    incarnation: str
    name: str
    processes: int = 1
    file_hash: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a worker can say once it has loaded the load test."""

    capacity: float
    cpus: float
    nodes: tuple[str, ...]


class ConnectionListener(Protocol):
    """What a worker does; the link says when."""

    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        """Load it and measure; called again, and quick then, when the connection was made anew. May switch greenlets.
        Raises ObswarmError when it cannot run that."""

    def assigned_users(self) -> dict[str, int]:
        """Users by class that it was told to run."""

    def collect(self, pulse: int) -> None:
        """Send a report."""

    def on_message(self, message: Message) -> None:
        """Any other message of the master's."""

    def on_orphaned(self) -> None:
        """No master for too long: end the users."""

    def on_other_run(self) -> None:
        """The master has another run than the one that this worker is part of."""


class MasterConnection:
    """`run` blocks until the master says that all is over (gives its exit code), or there is none to be found.

    Raises ObswarmError when the master refuses this worker, or none was found for `give_up_after_s`.
    """

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
        """`look_up` returns the endpoint anew, where the master's name may have got another address meanwhile."""
        self.unacked = UnackedDeltas()
        self.supervisor = Supervisor(self.part_failed)
        """For whatever this worker depends on."""
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
        self._say_hello()
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
        """End `run` as if the master had said so."""
        self._finished.set(code)

    def fail(self, error: ObswarmError) -> None:
        self._finished.set_exception(error)

    def part_failed(self, what: str, error: BaseException) -> None:
        """A greenlet that this worker depends on has ended by an exception: tell the master, and end."""
        text = f"{what} failed: {described(error)}. This is a fault of obswarm; please report it."
        if self._welcome is not None and not self._is_ready:
            self.send(Failed(self._welcome.nonce, text))
        else:
            self.send(WorkerEvent("internal", f"{text} It happened on the worker {self.identity.name}."))
        # It has to be on its way before the connection is closed.
        self.supervisor.spawn_later(_WATCH_S, "The end of this worker", self.fail, InternalError(text))

    def refuse_assignment(self, error: OutOfBounds) -> None:
        """An assignment cannot be carried out: tell the master, whose run ends with that error."""
        self.send(WorkerEvent("error", f"The worker {self.identity.name} refuses its assignment: {error}."))

    def send(self, message: Message) -> None:
        """A message that nobody repeats: lost if the master is away. Statistics are not: they are in `unacked`."""
        if self._socket is not None and not self._socket.send(encode(message)):
            self.unsent_messages += 1
            if self.unsent_messages == 1:
                logger.error("A message (%s) cannot be sent: too many wait already.", type(message).__name__)

    def report(self, make: Callable[[int, bytes, int], Report], delta: bytes | None) -> None:
        """Send a report, with a new delta if there is one. `make` is given sequence, delta and the last sequence."""
        sequence = self.unacked.put(delta) if delta is not None else 0
        if sequence and len(self.unacked) == 1:
            self._sent_s = clock.monotonic()
        self.send(make(sequence, delta or b"", self.unacked.last_sequence))

    # What arrives.
    def _received(self, frame: bytes) -> None:
        try:
            message = decode(frame)
        except NotAMessage as error:
            self.dropped_frames += 1
            if self.dropped_frames == 1:
                logger.warning("The master sent something that is not a message (%s); it is dropped.", error)
            return
        self._heard_s = clock.monotonic()
        self._orphaned = False
        match message:
            case Heartbeat():
                self._acknowledge(message.acked)
                if message.collect and self._is_ready:
                    self._listener.collect(message.number)
            case Welcome():
                self._welcomed(message)
            case Wait():
                if self.run_id:
                    self._listener.on_other_run()
            case Bundle():
                self._fetched(message)
            case Reregister():
                self._say_hello()
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
            self.supervisor.spawn("The report of a failed preparation", self._tell_failure, error)
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

    def _tell_failure(self, error: ObswarmError) -> None:
        """This worker is of no use to the master: say so, and end."""
        assert self._welcome is not None
        self.send(Failed(self._welcome.nonce, str(error)[:_LONGEST_REASON]))
        gevent.sleep(_WATCH_S)
        self.fail(error)

    def _prepare(self) -> None:
        if not self._preparing:
            self._preparing = True
            self.supervisor.spawn("The preparation of this worker", self._prepare_and_tell)

    def _prepare_and_tell(self) -> None:
        assert self._welcome is not None
        run_id = self._welcome.run_id
        try:
            prepared = self._listener.prepare(self._welcome, Path(self._folder.name) if self._folder else None)
        except ObswarmError as error:
            self._tell_failure(error)
            return
        except Exception as error:
            logger.exception("Preparing the load test failed")
            self._tell_failure(ObswarmError(f"The worker {self.identity.name} could not prepare: {error!r}"))
            return
        finally:
            self._preparing = False
        self.run_id = run_id
        # The newest welcome's: another one may have come meanwhile.
        assigned = self._listener.assigned_users()
        self.send(
            Ready(self._welcome.nonce, prepared.capacity, prepared.cpus, assigned, prepared.nodes, self.unacked.acked)
        )
        self._is_ready = True
        self._send_again()

    # What time brings.
    def _say_hello(self) -> None:
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
                # This process has not run for a while; what the master said meanwhile is read first.
                continue
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
                self._say_hello()

    def _dial_again(self) -> None:
        # A connection through which nothing comes may look well for minutes; and what waits in it is stale.
        self._dialled_s = clock.monotonic()
        assert self._socket is not None
        if self._look_up is not None:
            try:
                self._endpoint = self._look_up()
            except ObswarmError as error:
                logger.debug("%s", error)
        failures = self._socket.handshake_failures
        self._socket.close()
        self._socket = self._dial()
        self._socket.handshake_failures = failures

    def _warn_of_handshakes(self) -> None:
        """Nobody says that the secret is wrong: the connection is closed. A proxy whose master is not there yet looks
        the same, so that trying goes on."""
        if self._heard_s is None and self._handshake_failures >= _BROKEN_HANDSHAKES and not self._warned:
            self._warned = True
            logger.warning("%s closes connections before they are set up. %s", self._where, self._hint)

    @property
    def _handshake_failures(self) -> int:
        return self._socket.handshake_failures if self._socket is not None else 0

    @property
    def _hint(self) -> str:
        mine = "has one" if self._has_secret else "has none"
        return f"Do both have the same secret? This worker {mine} (--secret-file, OBSWARM_SECRET)."

    def _give_up(self) -> None:
        if self._heard_s is None:
            text = f"No master answers at {self._where}. Is it running, and can it be reached from here?"
            if self._handshake_failures:
                text = f"The master at {self._where} does not let this worker in. {self._hint}"
        else:
            text = f"The master at {self._where} has been silent for {self._give_up_after_s:.0f} s."
            if self.unacked:
                text += f" It did not get the last {len(self.unacked)} reports of this worker."
        self.fail(ObswarmError(text))
