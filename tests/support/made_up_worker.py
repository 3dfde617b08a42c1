"""Workers without processes: they talk to a master in the same process, and say whatever a test wants."""

import secrets
from dataclasses import replace
from typing import Any, Protocol

from obswarm import __version__
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Hello,
    Message,
    Ready,
    Report,
    Welcome,
    decode,
    encode,
)
from obswarm.stats import Recorder, StatsTable
from obswarm.stats.codec import pack_table


class Letters:
    """What a master has sent, by peer; in place of a RouterSocket, of which it takes the arguments."""

    handshake_failures = 0
    endpoint = "nowhere"

    def __init__(self, *_: object) -> None:
        self._by_peer: dict[bytes, list[Message]] = {}

    def send(self, peer: bytes, frame: bytes) -> bool:
        self._by_peer.setdefault(peer, []).append(decode(frame))
        return True

    def close(self) -> None: ...

    def of(self, peer: bytes, kind: type[Any]) -> list[Any]:
        return [message for message in self._by_peer.get(peer, []) if isinstance(message, kind)]


class Receiver(Protocol):
    """A master, or its registry of workers."""

    def received(self, peer: bytes, frame: bytes) -> object: ...


class MadeUpWorker:
    """Has joined `master` as soon as it is made, unless `joins` is False."""

    def __init__(self, master: Receiver, letters: Letters, name: str = "honest", joins: bool = True) -> None:
        self.name = name
        self.peer = name.encode()[:200] + secrets.token_bytes(4)
        self.incarnation = secrets.token_hex(16)
        self.sequence = 0
        self._master = master
        self._letters = letters
        self._recorder = Recorder()
        if joins:
            self.join()

    def echo(self, message: Message) -> None:
        self._master.received(self.peer, encode(message))

    def got(self, kind: type[Any]) -> list[Any]:
        """Messages of that kind that it was sent."""
        return self._letters.of(self.peer, kind)

    def join(self, processes: int = 1, **ready: Any) -> None:
        self.echo(Hello(PROTOCOL_VERSION, __version__, self.incarnation, self.name, processes, "", ""))
        nonce = self.got(Welcome)[-1].nonce
        self.echo(replace(Ready(nonce, 1000.0, 1.0, {}, (self.name,), 0), **ready))

    def measured(self, requests: int, failed: bool = False) -> StatsTable:
        for _ in range(requests):
            self._recorder.record("GET", "/", 0.01, 10, 500 if failed else 200, "no" if failed else None)
        return self._recorder.take()

    def report(self, requests: int = 0, delta: bytes | None = None, **changed: Any) -> Report:
        """Reports so many requests, or a delta of any kind, with other values where they are given."""
        if delta is None:
            delta = pack_table(self.measured(requests)) if requests else b""
        self.sequence += 1 if delta else 0
        number = self.sequence if delta else 0
        plain = Report(0, number, delta, {"Visitor": 1}, 0, 0.1, 0.001, 10**6, False, 0, self.sequence, False)
        report = replace(plain, **changed)
        self.echo(report)
        return report
