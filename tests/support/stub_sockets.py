"""Sockets of workers and relays that lead nowhere: what is sent is kept, and what arrives is said by the test."""

from typing import Any

from obswarm.cluster.wire.messages import Message, decode, encode
from tests.support.made_up_worker import Letters


class StubDealer:
    """In place of a DealerSocket: keeps what is sent, and is handed what the master sends."""

    made: list["StubDealer"]
    """All of them, in the order in which they were made; the fixture that puts it in place makes the list."""

    def __init__(self, context: Any, endpoint: str, keys: Any, received: Any, supervisor: Any) -> None:
        self.endpoint = endpoint
        self.sent: list[Message] = []
        self.handshake_failures = 0
        self.is_full = False
        self.is_closed = False
        self._received = received
        StubDealer.made.append(self)

    def send(self, frame: bytes) -> bool:
        if not self.is_full:
            self.sent.append(decode(frame))
        return not self.is_full

    def deliver(self, message: Message) -> None:
        self._received(encode(message))

    def deliver_frame(self, frame: bytes) -> None:
        self._received(frame)

    def close(self) -> None:
        self.is_closed = True


class StubRouter(Letters):
    """In place of a RouterSocket: MadeUpWorkers talk to what listens at it."""

    made: "StubRouter"
    """The last one."""

    def __init__(self, context: Any, endpoint: str, keys: Any, received: Any, supervisor: Any) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.received = received
        self.is_closed = False
        StubRouter.made = self

    def close(self) -> None:
        self.is_closed = True
