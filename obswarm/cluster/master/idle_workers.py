"""IdleWorkers: the workers that wait while their master has no run."""

import gevent

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import (
    LARGEST_JOINING_FRAME_BYTES,
    PROTOCOL_VERSION,
    Hello,
    NotAMessage,
    Refused,
    Reregister,
    Wait,
    decode,
    encode,
)
from obswarm.cluster.wire.transport import RouterSocket, new_context
from obswarm.sanitize import clean_text
from obswarm.stats.codec import MOST_PROCESSES

_GONE_AFTER_S = 4.0
_BIND_AGAIN_S = 0.1
_BIND_TRIES = 30
_MOST_WAITING = 16_384


class IdleWorkers:
    """A context manager that listens on `endpoint`. Each waiting worker sends a Hello about every 1.5 seconds.

    Raises ObswarmError if it cannot listen.
    """

    def __init__(self, endpoint: str, keys: CurveKeys | None) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._heard_s: dict[str, tuple[float, int, bytes]] = {}
        self._listener: RouterSocket | None = None

    def __enter__(self) -> "IdleWorkers":
        # The run that has just ended may not have released the port yet.
        for left in reversed(range(_BIND_TRIES)):
            try:
                self._listener = RouterSocket(new_context(), self._endpoint, self._keys, self._received)
                return self
            except ObswarmError:
                if not left:
                    raise
                gevent.sleep(_BIND_AGAIN_S)
        raise AssertionError("unreachable")

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @property
    def workers(self) -> dict[str, int]:
        """Number of processes of each waiting worker, by name.

        Workers with a closed connection are excluded: their process may have re-executed itself under another name.
        """
        if self._listener is None:
            return {}
        since_s, frame = clock.monotonic() - _GONE_AFTER_S, encode(Wait())
        return {
            name: processes
            for name, (heard_s, processes, peer) in self._heard_s.items()
            if heard_s >= since_s and self._listener.send(peer, frame)
        }

    def _received(self, peer: bytes, frame: bytes) -> None:
        assert self._listener is not None
        if len(frame) > LARGEST_JOINING_FRAME_BYTES:
            return
        try:
            message = decode(frame)
        except NotAMessage as error:
            if error.version is not None:
                text = f"it uses {error}, its master version {PROTOCOL_VERSION}; install the same release on both."
                self._listener.send(peer, encode(Refused(text)))
            return
        if not isinstance(message, Hello):
            # A worker of a run that is over: it registers again, and has to wait.
            self._listener.send(peer, encode(Reregister()))
            return
        now = clock.monotonic()
        if len(self._heard_s) >= _MOST_WAITING:
            self._heard_s = {name: seen for name, seen in self._heard_s.items() if seen[0] >= now - _GONE_AFTER_S}
        if len(self._heard_s) < _MOST_WAITING:
            self._heard_s[clean_text(message.name)] = (now, min(message.processes, MOST_PROCESSES), peer)
        self._listener.send(peer, encode(Wait()))
