"""A real master with an honest worker and others that lie: it counts the one exactly, and names the others."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import msgpack
import psutil
import zmq.green as zmq

from obswarm import __version__
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Hello,
    Message,
    Ready,
    Refused,
    Report,
    Welcome,
    decode,
    encode,
)
from obswarm.stats import Recorder
from obswarm.stats.codec import pack_table
from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer


class Liar:
    """Joins a master as a worker would, over its port."""

    def __init__(self, context: Any, port: int, name: str) -> None:
        self.name = name
        self._line = context.socket(zmq.DEALER)
        self._line.set(zmq.LINGER, 0)
        self._line.connect(f"tcp://127.0.0.1:{port}")
        self.send(encode(Hello(PROTOCOL_VERSION, __version__, os.urandom(16).hex(), name, 1, "", "")))
        welcome = self.wait_for(Welcome)
        self.send(encode(Ready(welcome.nonce, 1.0, 1.0, {}, (name,), 0)))

    def send(self, frame: bytes) -> None:
        self._line.send(frame)

    def wait_for(self, kind: type[Any]) -> Any:
        def next_message() -> Message | None:
            message: Message | None = decode(self._line.recv()) if self._line.poll(1000) else None
            return message if isinstance(message, kind) else None

        return wait_until(next_message, f"{self.name} was never sent {kind.__name__}")


def delta(endpoints: int = 1) -> bytes:
    recorder = Recorder(max_endpoints=10**6)
    for number in range(endpoints):
        recorder.record("GET", f"/made-up/{number}", 0.01, 10, 200)
    return pack_table(recorder.take())


def changed(index: int, value: Any) -> bytes:
    parts = msgpack.unpackb(delta(), strict_map_key=False)
    parts[index] = value
    packed: bytes = msgpack.packb(parts)
    return packed


def report(**changes: Any) -> bytes:
    plain = Report(0, 1, delta(), {"Visitor": 1}, 0, 0.1, 0.0, 1, False, 0, 1, False)
    return encode(replace(plain, **changes))


LIES: dict[str, Callable[[], bytes]] = {
    "no-message": lambda: b"\xc1",
    "empty-lists": lambda: b"\xdd" + (2**23).to_bytes(4, "big") + b"\x90" * 2**23,
    "nested": lambda: b"\x91" * 100_000 + b"\x90",
    "bytes": lambda: report(delta=os.urandom(1000)),
    "huge-counts": lambda: report(delta=changed(4, [[0, {0: 2**64 - 1}]])),
    "times": lambda: report(delta=changed(6, [["GET", "/made-up/0", "boom", 1, 1e300, 1e300, ""]])),
    "names": lambda: report(delta=delta(20_000)),
    "sums": lambda: report(delta=changed(11, [[0, 0, 2**63], [0, 1, 2**63]])),
    "iterations": lambda: report(delta=changed(8, {f"C{number}": 1 for number in range(10_000)})),
    "statuses": lambda: report(delta=changed(5, [[0, "failures_by", {f"s{number}": 1}] for number in range(10_000)])),
    "exemplar": lambda: report(delta=changed(5, [[0, "newest_exemplars", [['"}\n', 1e300, 1e300]]]])),
    "lists-in-statistics": lambda: report(delta=changed(4, [[]] * 2**22)),
    "users": lambda: report(users={"Visitor": 2**62}),
    "classes": lambda: report(users={"\x1b[31mX": 5}),
    "cpu": lambda: report(cpu_ratio=1e308),
    "under-way": lambda: report(in_flight=msgpack.packb([["GET", "/", ""], [2**31], [0.1], [1], bytes(4 * 2**23)])),
}


def test_each_lie_is_refused_by_name_and_the_honest_worker_counts_exactly(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url) as fleet:
        master = fleet.master("-u", 10, "-r", 50)
        worker = fleet.worker()
        wait_until(target.arrivals, fleet.log)
        process = psutil.Process(master.pid)
        memory = process.memory_info().rss
        context = zmq.Context()
        # Not a worker at all; it does not get as far as being decoded.
        stranger = context.socket(zmq.DEALER)
        stranger.connect(f"tcp://127.0.0.1:{fleet.port}")
        stranger.send(LIES["empty-lists"]())
        for name, lie in LIES.items():
            liar = Liar(context, fleet.port, name)
            liar.send(lie())
            assert liar.wait_for(Refused).reason, name
        grown = process.memory_info().rss - memory
        context.destroy(linger=0)
        master.terminate()
        assert master.wait(HANG_S) == 130, fleet.log()
        assert worker.wait(HANG_S) == 0, fleet.log("workers.log")
        result = fleet.result()
        assert result["totals"]["requests"] == target.total()
        assert result["totals"]["failures"] == 0
        assert [lost["worker"] for lost in result["lost"]] == list(LIES)
        assert all(lost["detail"].startswith("refused: ") for lost in result["lost"])
        by_name = {each["worker"]: each for each in result["workers"]}
        assert all(by_name[name]["stats_lost"] == 1 and by_name[name]["state"] == "lost" for name in LIES)
        # The stranger's, and answers of the worker to a welcome before the last one: it says hello again and again where
        # the master is slow to start. No lie is only dropped.
        assert 1 <= result["rejected"]["dropped_frames"] < len(LIES)
        assert fleet.log().count("A peer that is not registered sent") == 1
        assert fleet.log().count("is lost (refused") == len(LIES)
        assert "Traceback" not in fleet.log()
        assert "\x1b[31mX" not in fleet.log()
        assert grown < 250e6


def test_a_run_whose_only_worker_lies_ends_with_a_result_that_says_so(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url) as fleet:
        master = fleet.master("-u", 10, "-r", 50, "-t", "10m", "--orphan-timeout", "1s")
        context = zmq.Context()
        liar = Liar(context, fleet.port, "the-only-one")
        gevent.sleep(1)
        liar.send(LIES["bytes"]())
        assert liar.wait_for(Refused)
        assert master.wait(HANG_S) == 4, fleet.log()
        context.destroy(linger=0)
        result = fleet.result()
        assert result["stop_reason"] == {"kind": "lost", "detail": "no worker is left"}
        (lost,) = result["lost"]
        assert lost["worker"] == "the-only-one"


def test_a_process_of_a_machine_that_dies_stands_in_the_result_by_its_own_name(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url) as fleet:
        master = fleet.master("-u", 8, "-r", 50, "-t", "12s")
        machine = fleet.worker("--processes", 2)
        wait_until(lambda: len(target.arrivals()) >= 2, lambda: fleet.log() + fleet.log("workers.log"))
        # Until it has said how many users it has.
        gevent.sleep(1.5)
        child = psutil.Process(machine.pid).children()[0]
        child.kill()
        assert master.wait(HANG_S) == 4, fleet.log()
        machine.wait(HANG_S)
        (lost,) = fleet.result()["lost"]
        assert "/" + lost["worker"] in target.arrivals()
        assert "it ended with the exit code -9" in lost["detail"]
        assert lost["users"] in range(1, 9)
        (worker,) = fleet.result()["workers"]
        assert worker["stats_lost"] == 1
