"""Servers in memory: streams that answer with exactly the bytes that a test gives them, without a socket."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from obswarm.http.deadlines import NEVER, StreamTimeout

Reply = Sequence[bytes | Exception]
"""Pieces in which an answer arrives; an exception is raised instead of what would come."""

HANG = StreamTimeout()
"""Nothing more comes until the time is over."""


class ScriptedStream:
    """In place of a SocketStream, to one peer."""

    def __init__(self, peer: "ScriptedPeer") -> None:
        self._peer = peer
        self._pieces: list[bytes | Exception] = []
        self._request = bytearray()
        self.due = NEVER
        self.is_closed = False

    def send(self, payload: bytes) -> None:
        if self._peer.send_fails is not None:
            raise self._peer.send_fails
        self._request += payload
        if not self._peer.is_complete(bytes(self._request)):
            return
        self._peer.requests.append(bytes(self._request))
        self._request.clear()
        self._pieces += self._peer.next_reply()

    def receive(self) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    @property
    def unread(self) -> bool:
        # Here everything comes, and ends, together with the response.
        return self.has_news()

    def has_news(self) -> bool:
        return self._peer.closes_idle or bool(self._pieces)

    def close(self) -> None:
        self.is_closed = True


class ScriptedPeer:
    """A server: each request gets the next reply, the last one again and again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self.streams: list[ScriptedStream] = []
        self.connects: OSError | None = None
        """What connecting raises."""
        self.send_fails: OSError | None = None
        self.closes_idle = False

    def connect(self, *_: object) -> ScriptedStream:
        if self.connects is not None:
            raise self.connects
        self.streams.append(ScriptedStream(self))
        return self.streams[-1]

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    @staticmethod
    def is_complete(request: bytes) -> bool:
        head, end, body = request.partition(b"\r\n\r\n")
        lines = [line.lower() for line in head.split(b"\r\n")]
        if not end:
            return False
        if b"transfer-encoding: chunked" in lines:
            return body.endswith(b"0\r\n\r\n")
        lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        return len(body) >= (lengths[0] if lengths else 0)

    def lines(self, number: int = -1) -> list[str]:
        """Request line and headers of a request."""
        return self.requests[number].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    def body(self, number: int = -1) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]


@contextmanager
def peers(**by_name: ScriptedPeer) -> Iterator[None]:
    """Connections to `127.0.0.1:PORT` lead to the peer of the name `pPORT`, those to any other place nowhere."""

    def connect(family: int, address: object, peer: str, due: float) -> ScriptedStream:
        return by_name[f"p{peer.rpartition(':')[2]}"].connect()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("obswarm.http.connect._connect", connect)
        yield
