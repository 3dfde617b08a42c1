"""Worker handshake: validates Hello, sends the bundle on request, waits for Ready or Failed."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from obswarm import __version__, clock
from obswarm.cluster.master.events import LoadFailed
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Bundle,
    BundleRequest,
    End,
    Failed,
    Hello,
    Message,
    NotAMessage,
    Ready,
    Refused,
    Report,
    Retransmit,
    Wait,
    Welcome,
    encode,
)
from obswarm.sanitize import clean_lines, clean_text

logger = logging.getLogger(__name__)

MOST_WORKERS = 16_384
"""Maximum number of workers in a run, including those that have left."""

_MOST_JOINING = 4_096
_MOST_TOPICS = 100
_JOINING_S = 120.0
"""Time in which a worker has to load the load test."""


@dataclass(slots=True)
class _Joining:
    hello: Hello
    nonce: str
    since_s: float


class Handshake:
    """Joining workers, by peer. Their Ready or Failed is only accepted with the nonce of their last Welcome."""

    def __init__(self, spec: RunSpec, send_frame: Callable[[bytes, bytes], object]) -> None:
        self.dropped_frames = 0
        self._send_frame = send_frame
        self._spec = spec
        self._joining: dict[bytes, _Joining] = {}
        self._late: set[bytes] = set()
        """Peers that registered while the run was ending."""
        self._logged: set[str] = set()
        self._bundle_frame: bytes | None = None
        """Encoded once: hundreds of workers may request it at the same time."""

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._joining

    def _send(self, peer: bytes, message: Message) -> None:
        self._send_frame(peer, encode(message))

    def warn_once(self, topic: str, text: str, *arguments: object) -> None:
        """Log a warning, only once for a topic."""
        if topic not in self._logged and len(self._logged) < _MOST_TOPICS:
            self._logged.add(topic)
            logger.warning(text, *arguments)

    def drop_large(self, size: int) -> None:
        """Count a frame that is too large for a handshake."""
        self.dropped_frames += 1
        self.warn_once("large", "A peer that is not registered sent %d bytes; dropped and counted.", size)

    def drop(self, peer: bytes, error: NotAMessage) -> None:
        """Count an invalid frame. A peer with another protocol version is refused."""
        self.dropped_frames += 1
        if error.version is not None:
            self.refuse(
                peer,
                f"this worker uses {error}, the master (obswarm {__version__}) version {PROTOCOL_VERSION}."
                " Install the same release of obswarm on both.",
            )
            return
        self.warn_once("frames", "A peer sent an invalid message (%s); dropped and counted.", error)

    def refuse(self, peer: bytes, reason: str) -> None:
        """Refuse a peer, and send it the reason."""
        self.warn_once(reason, "A worker was refused: %s", reason)
        self._send(peer, Refused(reason))

    def hello(self, peer: bytes, hello: Hello, acked: int) -> None:
        """Welcome a worker whose deltas up to `acked` are acknowledged."""
        expected = self._spec.file_hash
        if hello.file_hash and expected and hello.file_hash != expected:
            self.refuse(
                peer,
                f"the load-test file of the worker {clean_text(hello.name)} differs from the master's. Start the worker"
                " without a file: it gets the master's.",
            )
            return
        if len(self._joining) >= _MOST_JOINING and peer not in self._joining:
            self.dropped_frames += 1
            return
        hello = replace(hello, name=clean_text(hello.name) or "worker")
        nonce = secrets.token_hex(8)
        self._joining[peer] = _Joining(hello, nonce, clock.monotonic())
        spec = self._spec
        self._send(
            peer,
            Welcome(
                nonce,
                __version__,
                spec.run_id,
                acked,
                spec.orphan_timeout_s,
                spec.bundle.digest if spec.bundle is not None else "",
                spec.job,
            ),
        )

    def too_late(self, peer: bytes, exit_code: int | None) -> None:
        """Have a worker that registers while the run ends wait for End, also if it replaces a dead one. `exit_code` is
        that of End; None before that is sent."""
        if exit_code is not None:
            self._send(peer, End(0, exit_code))
            return
        if len(self._late) < MOST_WORKERS:
            self._late.add(peer)
        self._send(peer, Wait())

    def end_late(self, exit_code: int) -> None:
        """Send End to the peers that have come too late."""
        for peer in self._late:
            self._send(peer, End(0, exit_code))

    def end(self, exit_code: int, message: Message) -> None:
        """Send a message, and End, to all peers that have not joined."""
        for peer in (*self._joining, *self._late):
            self._send(peer, message)
            self._send(peer, End(0, exit_code))

    def take(self, peer: bytes, message: Message) -> tuple[Hello, Ready] | LoadFailed | None:
        """Handle a message of a joining worker. Returns its Hello and Ready, or LoadFailed, when the handshake is
        complete."""
        joining = self._joining[peer]
        bundle = self._spec.bundle
        match message:
            case BundleRequest() if bundle is not None and message.bundle_hash == bundle.digest:
                if self._bundle_frame is None:
                    self._bundle_frame = encode(Bundle(bundle.digest, bundle.content))
                self._send_frame(peer, self._bundle_frame)
            case Ready() if message.nonce == joining.nonce:
                del self._joining[peer]
                return joining.hello, message
            case Failed() if message.nonce == joining.nonce:
                del self._joining[peer]
                return LoadFailed(joining.hello.name, clean_lines(message.reason))
            case Report() | Retransmit():
                # It was registered with an earlier process of the master, and has not noticed yet.
                pass
            case _:
                self.dropped_frames += 1
        return None

    def look_after(self, now: float) -> None:
        """Remove workers that have not completed the handshake in time."""
        self._joining = {peer: joining for peer, joining in self._joining.items() if now - joining.since_s < _JOINING_S}
