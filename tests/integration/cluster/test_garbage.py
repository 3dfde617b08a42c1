"""A live master is sent 200,000 frames of garbage, and the run does not notice."""

import random
import signal
from pathlib import Path

import msgpack
import psutil
import zmq.green as zmq

from obswarm import __version__
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    BundleRequest,
    Custom,
    End,
    Failed,
    Hello,
    Leaving,
    Ready,
    Report,
    Retransmit,
    Stop,
    WorkerEvent,
    encode,
)
from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer

FRAMES = 200_000
LINES = 8


def frames(draw: random.Random):
    """Endless garbage: noise, changed messages, messages with other values, and proper ones from nobody."""
    proper = [
        encode(message)
        for message in (
            Hello(PROTOCOL_VERSION, __version__, "a" * 32, "stranger", 3, "", ""),
            Ready("0" * 16, 5000.0, 4.0, {"Visitor": 5}, ("x",), 0),
            Report(1, 1, b"delta", {"Visitor": 1000}, 1, 0.5, 0.1, 10_000, True, 9, 1, True),
            Retransmit(1, b"delta"),
            WorkerEvent("error", "made up"),
            WorkerEvent("quit", "made up"),
            Failed("0" * 16, "made up"),
            Leaving("made up"),
            Custom("made", b"\xc0", "up"),
            BundleRequest("0" * 64),
            Stop(0.0),
            End(1, 0),
        )
    ]
    while True:
        kind = draw.randrange(4)
        if kind == 0:
            yield draw.randbytes(draw.randrange(200))
        elif kind == 1:
            frame = bytearray(draw.choice(proper))
            for _ in range(draw.randrange(1, 4)):
                frame[draw.randrange(len(frame))] = draw.randrange(256)
            yield bytes(frame[: draw.randrange(len(frame))] if draw.random() < 0.2 else frame)
        elif kind == 2:
            parts = msgpack.unpackb(draw.choice(proper), raw=False)
            parts[draw.randrange(len(parts))] = draw.choice(
                [None, -1, 2**63, 1e308, "x" * 1000, b"", [], {"a": 1}, True]
            )
            yield msgpack.packb(parts)
        else:
            yield draw.choice(proper)


def test_200_000_frames_of_garbage_do_not_disturb_a_run(tmp_path: Path) -> None:
    draw = random.Random(4)
    with QuickServer() as target, Fleet(tmp_path, target.url) as fleet:
        master = fleet.master("-u", 10, "-r", 50)
        worker = fleet.worker()
        wait_until(target.arrivals, fleet.log)
        process = psutil.Process(master.pid)
        context = zmq.Context()
        lines = []
        for _ in range(LINES):
            line = context.socket(zmq.DEALER)
            line.set(zmq.LINGER, 0)
            line.set(zmq.SNDHWM, 500)
            line.connect(f"tcp://127.0.0.1:{fleet.port}")
            lines.append(line)
        memory = 0
        for number, frame in enumerate(frames(draw)):
            if number == FRAMES:
                break
            if number == FRAMES // 10:
                memory = process.memory_info().rss
            lines[number % LINES].send(frame)
        # An answer to the last hello shows that all that came before it was read.
        for line in lines:
            while line.poll(0):
                line.recv()
            line.send(encode(Hello(PROTOCOL_VERSION, __version__, "b" * 32, "stranger", 1, "", "")))
            assert line.poll(HANG_S * 1000), "the master does not answer any more"
        grown = process.memory_info().rss - memory
        assert master.poll() is None, fleet.log()
        assert grown < 20e6
        context.destroy(linger=0)
        master.send_signal(signal.SIGINT)
        assert master.wait(HANG_S) == 130, fleet.log()
        assert worker.wait(HANG_S) == 0, fleet.log("workers.log")
        result = fleet.result()
        assert result["totals"]["requests"] == target.total()
        assert result["totals"]["failures"] == 0
        assert result["users_max"] == 10
        assert len(result["workers"]) == 1
        assert result["rejected"]["dropped_frames"] > FRAMES / 10
        assert fleet.log().count("sent an invalid message") == 1
        assert "Traceback" not in fleet.log()
