"""What a master counts of workers that another master had before it."""

from typing import Any

from obswarm import __version__
from obswarm.cluster.master.events import Joined, RegistryEvent, StatisticsMissing
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.wire.messages import PROTOCOL_VERSION, End, Hello, Ready, Report, Wait, Welcome, decode, encode
from obswarm.stats import Recorder
from obswarm.stats.codec import pack_table

PEER = b"peer"


class Wire:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, peer: bytes, frame: bytes) -> bool:
        self.sent.append(decode(frame))
        return True


def registry() -> tuple[WorkerRegistry, Wire]:
    wire = Wire()
    return WorkerRegistry(RunSpec("run-1", b"", None, ""), wire), wire


def join(made: WorkerRegistry, wire: Wire, acked: int) -> list[RegistryEvent]:
    made.received(PEER, encode(Hello(PROTOCOL_VERSION, __version__, "i", "name", 1, "", "run-1")))
    welcome = next(message for message in reversed(wire.sent) if isinstance(message, Welcome))
    return made.received(PEER, encode(Ready(welcome.nonce, 100.0, 1.0, {}, ("name",), acked)))


def report(made: WorkerRegistry, sequence: int) -> None:
    recorder = Recorder()
    recorder.record("GET", "/", 0.01, 1, 200)
    packed = pack_table(recorder.take())
    made.received(PEER, encode(Report(0, sequence, packed, {}, 0, 0.1, 0.0, 1, False, 0, sequence, False)))


def requests(made: WorkerRegistry) -> int:
    return sum(stats.requests for stats in made.take(100).endpoints.values())


def test_what_a_master_before_had_not_kept_is_named_and_the_rest_counts() -> None:
    made, wire = registry()
    (worker,) = (event.worker for event in join(made, wire, acked=5) if isinstance(event, StatisticsMissing))
    assert worker.name == "name"
    report(made, 6)
    report(made, 7)
    assert requests(made) == 2


def test_a_worker_whose_statistics_are_all_there_has_lost_nothing() -> None:
    made, wire = registry()
    (joined,) = join(made, wire, acked=0)
    assert isinstance(joined, Joined)
    assert not joined.again
    report(made, 1)
    report(made, 2)
    made.acknowledge()
    for acked in (0, 1, 2):
        # Its connection was made anew; what it had been told is never more than what was counted.
        assert join(made, wire, acked) == [Joined(joined.worker, again=True)]
    report(made, 3)
    assert requests(made) == 3


def test_a_worker_that_comes_when_the_run_is_ending_has_no_part_in_it_and_hears_of_its_end() -> None:
    made, wire = registry()
    join(made, wire, acked=0)
    made.stop(1.0)

    def hello(peer: bytes, run_id: str) -> Any:
        made.received(peer, encode(Hello(PROTOCOL_VERSION, __version__, peer.decode(), "late", 1, "", run_id)))
        return wire.sent[-1]

    assert hello(b"new", "") == Wait()
    assert hello(b"other", "run-0") == Wait()
    assert isinstance(hello(b"unknown", "run-1"), Welcome), "it may have statistics of this run"
    assert list(made.workers) == ["i"]
    wire.sent.clear()
    made.end(4)
    assert wire.sent.count(End(0, 4)) == 3
    assert hello(b"later", "") == End(0, 4)
