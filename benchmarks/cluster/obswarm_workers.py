"""Simulated workers of an obswarm master: `python -m benchmarks.cluster.obswarm_workers PORT WORKERS ENDPOINTS
REQUESTS`.

Each uses the real protocol over its own connection, and responds to every heartbeat with a delta. Ends with its input.
"""

import random
import sys

import zmq

from obswarm import __version__
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Assign,
    End,
    Heartbeat,
    Hello,
    Ready,
    Report,
    Stop,
    Welcome,
    decode,
    encode,
)
from obswarm.stats import Recorder
from obswarm.stats.codec import pack_table

_DIFFERENT = 40


def deltas(endpoints: int, requests: int) -> list[bytes]:
    """What seconds of a worker look like: latencies spread over a decade or so, a few failures."""
    draw = random.Random(1)
    made = []
    for _ in range(_DIFFERENT):
        recorder = Recorder()
        for number in range(endpoints):
            for _ in range(requests):
                seconds = draw.lognormvariate(-4, 0.5)
                phases = (None, None, seconds * 0.9, seconds * 0.1)
                recorder.record("GET", f"/endpoint/{number}", seconds, 2000, 200, None, phases)
        recorder.record_iteration("Nobody")
        made.append(pack_table(recorder.take()))
    return made


class SimulatedWorker:
    def __init__(self, number: int, endpoint: str, context: zmq.Context, prepared: list[bytes]) -> None:
        self.incarnation = f"{number:032x}"
        self.socket = context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        self.prepared = prepared
        self.sequence = number % len(prepared)
        self.sent = 0
        self.users: dict[str, int] = {}
        self.settled = 0
        self.stopped = False
        self.socket.send(encode(Hello(PROTOCOL_VERSION, __version__, self.incarnation, f"w{number}", 1, "", "")))

    def read(self) -> bool:
        """False when it is over."""
        while True:
            try:
                message = decode(self.socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                return True
            match message:
                case Welcome():
                    self.socket.send(encode(Ready(message.nonce, 1000.0, 1.0, {}, (self.incarnation,), 0)))
                case Assign():
                    self.users, self.settled = message.users, message.number
                case Stop():
                    self.stopped = True
                    self.report(0)
                case Heartbeat() if message.collect:
                    self.report(message.number)
                case End():
                    return False

    def report(self, heartbeat: int) -> None:
        delta = b""
        if self.users and not self.stopped:
            self.sent += 1
            delta = self.prepared[(self.sequence + self.sent) % len(self.prepared)]
        sequence = self.sent if delta else 0
        users = {} if self.stopped else self.users
        self.socket.send(
            encode(
                Report(
                    *(heartbeat, sequence, delta, users, self.settled, 0.3, 0.001, 60_000_000, False, 0, self.sent),
                    ended=self.stopped,
                )
            )
        )


def main() -> None:
    port, workers, endpoints, requests = map(int, sys.argv[1:])
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, workers + 10)
    prepared = deltas(endpoints, requests)
    poller = zmq.Poller()
    found = {}
    for number in range(workers):
        worker = SimulatedWorker(number, f"tcp://127.0.0.1:{port}", context, prepared)
        found[worker.socket] = worker
        poller.register(worker.socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while found:
        for socket, _ in poller.poll(500):
            if socket == sys.stdin.fileno():
                return
            if not found[socket].read():
                poller.unregister(socket)
                del found[socket]


if __name__ == "__main__":
    main()
