"""Whatever a worker reports, its master goes on: it counts the others exactly, and refuses one that is not to be believed."""

import json
import math
import re
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obswarm.api import Environment, User, task
from obswarm.api.events import Events
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.wire.messages import LARGEST_JOINING_FRAME_BYTES, Refused, Report, Reregister, Retransmit, encode
from obswarm.engine import Ramp, Run, StopReason, WorkerLoss
from obswarm.metrics import SnapshotRegistry
from obswarm.metrics.exposition import slices
from obswarm.record import StopKind
from obswarm.report.result import result_document
from obswarm.stats import Recorder
from obswarm.stats.codec import pack_table
from obswarm.web.wire import pack_result, unpack_result
from tests.support.made_up_worker import Letters, MadeUpWorker
from tests.support.runs import fleet_run

pytestmark = pytest.mark.usefixtures("no_network")


class Visitor(User):
    @task
    def nothing(self) -> None: ...


def new_run() -> tuple[Run, FleetGenerator]:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    run, generator = fleet_run(environment, Ramp(1, 1), interval_s=0.0)
    run._begin()
    return run, generator


def losses_of(run: Run) -> tuple[WorkerLoss, ...]:
    return run._generator.totals().losses


def full_delta() -> list[Any]:
    """A delta that has something in each of its parts."""
    recorder = Recorder(detailed_timings=True)
    for number in range(3):
        for size in (10, 2**40):
            recorder.record("GET", f"/{number}", 0.02, size, 200, None, (0.001, 0.002, 0.01, 0.001), "0" * 31 + "1")
        recorder.record("GET", f"/{number}", 0.3, 10, 500, "went wrong")
        recorder.record("GET", f"/{number}", None, 10, 200)
    for _ in range(9):
        recorder.record("POST", "/many", 0.1, 2**62 - 1, 200)
    recorder.record_iteration("Visitor")
    recorder.record_exception("oh no", "Traceback\n  line")
    table = recorder.take()
    table.count_lost("w", "it does not fit", 3)
    table.note_overflow("/more")
    parts: list[Any] = msgpack.unpackb(pack_table(table), strict_map_key=False)
    return parts


NUMBERS = st.one_of(
    st.integers(-2, 5),
    st.sampled_from([2**31, 2**32 - 1, 2**53, 2**62, 2**63, 2**64 - 1, -(2**63), 10**12]),
    st.floats(),
    st.sampled_from([1e308, -1.0, math.inf, math.nan, 1e11, 0.0]),
)
TEXTS = st.one_of(
    st.text(max_size=5), st.sampled_from(["2xx", "error", "\x1b[31m", "x" * 501, '"}\n', "Visitor", "=1+1"])
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.binary(max_size=40), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXTS, st.integers(-700, 400)), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The same value with something in it replaced, left out, doubled, or changed in one bit."""
    kind = draw(st.sampled_from(["deeper", "deeper", "deeper", "replaced", "left out", "doubled", "added"]))
    if isinstance(value, bytes) and value and kind != "replaced":
        at = draw(st.integers(0, len(value) - 1))
        if kind == "left out":
            return value[:at]
        return value[:at] + bytes([value[at] ^ (1 << draw(st.integers(0, 7)))]) + value[at + 1 :]
    if isinstance(value, list) and value and kind != "replaced":
        at = draw(st.integers(0, len(value) - 1))
        if kind == "left out":
            return value[:at] + value[at + 1 :]
        if kind == "doubled":
            return value[:at] + [value[at]] * draw(st.integers(2, 30)) + value[at + 1 :]
        if kind == "added":
            return [*value, draw(VALUES)]
        return [*value[:at], draw(changed(value[at])), *value[at + 1 :]]
    if isinstance(value, dict) and value and kind != "replaced":
        key = draw(st.sampled_from(sorted(value, key=repr)))
        if kind in ("left out", "doubled", "added"):
            return {**value, draw(st.one_of(TEXTS, st.integers(-700, 400))): draw(VALUES)}
        return {**value, key: draw(changed(value[key]))}
    return draw(VALUES)


def assert_all_can_take(run: Run) -> None:
    """Everything that is made of a run's statistics can be made."""
    run._log.reason = StopReason(StopKind.TIME, "over")
    result = run._emitter.result(forced=False)
    json.dumps(result_document(result), allow_nan=False)
    assert unpack_result(pack_result(result)).final.total.requests == result.final.total.requests
    latest = SnapshotRegistry()
    latest.snapshot(result.final)
    for accept in ("", "application/openmetrics-text", "application/vnd.google.protobuf"):
        assert b"".join(slices(latest, {}, accept)[1])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_report_with_anything_changed_harms_nobody(data: st.DataObject) -> None:
    run, master = new_run()
    try:
        letters = master.listener
        assert isinstance(letters, Letters)
        honest, liar = MadeUpWorker(master, letters, "honest"), MadeUpWorker(master, letters, "liar")
        honest.report(requests=7)
        run._emit()
        parts = full_delta()
        true_requests = 3 * 4 + 9
        what = data.draw(st.sampled_from(["delta", "delta", "delta", "report", "bytes"]))
        if what == "delta":
            liar.report(delta=msgpack.packb(data.draw(changed(parts))))
        elif what == "report":
            fields = msgpack.unpackb(
                encode(Report(0, 1, msgpack.packb(parts), {"Visitor": 1}, 0, 0.1, 0.0, 1, False, 0, 1, False))
            )
            try:
                frame = msgpack.packb(data.draw(changed(fields)))
            except (OverflowError, ValueError):
                return
            master.received(liar.peer, frame)
        else:
            master.received(liar.peer, data.draw(st.binary(max_size=300)))
        honest.report(requests=5)
        run._emit()
        assert master.registry.workers[honest.incarnation].state == "ready"
        counted = run.last.endpoints["GET", "/", ""]
        member = master.registry.workers.get(liar.incarnation)
        assert member is not None
        if member.refused:
            assert run.last.total.requests == counted.requests == 12
            (loss,) = losses_of(run)
            assert (loss.worker, loss.detail) == ("liar", f"refused: {member.refused}")
            assert [refused.reason for refused in liar.got(Refused)] == [member.refused]
            assert member.lost == 1
        else:
            # It could be so. What the others have counted is exact all the same.
            assert run.last.total.requests >= 12
            assert run.last.total.requests <= 12 + 40 * true_requests
        assert_all_can_take(run)
    finally:
        run.close()


def refusal_of(**changes: Any) -> str:
    run, master = new_run()
    try:
        letters = master.listener
        assert isinstance(letters, Letters)
        honest, liar = MadeUpWorker(master, letters), MadeUpWorker(master, letters, "liar")
        honest.report(requests=3)
        liar.report(requests=2, **changes)
        run._emit()
        assert run.last.total.requests == 3
        (loss,) = losses_of(run)
        assert loss.worker == "liar"
        # It may come back as often as it likes.
        liar.report(requests=1)
        assert liar.got(Reregister)
        liar.join()
        assert len(liar.got(Refused)) == 2
        assert master.registry.workers[liar.incarnation].state == "lost"
        return loss.detail
    finally:
        run.close()


def delta_with(index: int, value: Any) -> bytes:
    parts = full_delta()
    parts[index] = value
    packed: bytes = msgpack.packb(parts)
    return packed


def many_endpoints(number: int) -> bytes:
    recorder = Recorder(max_endpoints=10**6)
    for each in range(number):
        recorder.record("GET", f"/{each}", 0.1, 1, 200)
    return pack_table(recorder.take())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"delta": b"\xc1"}, "cannot be read"),
        ({"delta": many_endpoints(1001)}, "more than 1,000 endpoints"),
        ({"delta": delta_with(5, [[0, "failures_by", {"s1": 3}]])}, "an unknown status class"),
        ({"delta": delta_with(4, [[0, {0: 2**64 - 1}]])}, "more requests than are possible"),
        ({"delta": delta_with(3, b"")}, "not the same number"),
        (
            {"delta": delta_with(6, [["GET", f"/{i}", "no", 1, 1.0, 1.0, ""] for i in range(600)])},
            "600 different errors",
        ),
        ({"delta": delta_with(6, [["GET", "/", "no", 1, 1e300, 1e300, ""]])}, "are invalid"),
        ({"delta": delta_with(6, [["GET", "/", "no", 1, 1.0, 1.0, "\x1b[31m"]])}, "are invalid"),
        ({"delta": delta_with(7, [[f"m{i}", "t", 1] for i in range(600)])}, "600 different exceptions"),
        ({"delta": delta_with(8, {"Nobody": 1})}, "users of the class Nobody, which this run does not have"),
        ({"delta": delta_with(5, [[0, "newest_exemplars", [["x" * 20_000, 0.1, 1.0]]]])}, "are invalid"),
        ({"delta": delta_with(11, [[0, 0, 2**63]])}, "sums are impossibly large"),
        ({"delta": delta_with(11, [[0, 1, 2**20]])}, "sum of durations is more than the longest allows"),
        ({"users": {"Nobody": 1}}, "users of the class Nobody"),
        ({"users": {"Visitor": 2**62}}, "it has 4,611,686,018,427,387,904 users"),
        ({"cpu_ratio": 1e308}, "its CPU usage is 1e.308"),
        ({"loop_lag_s": 1e308}, "its event-loop lag"),
        ({"memory_bytes": 2**62}, "its memory"),
        ({"sequence": 7}, "comes after its last one"),
        ({"in_flight": b"\xc1"}, "its requests in flight cannot be read"),
        ({"losses": msgpack.packb([["w", "d", math.nan, 1]])}, "its losses"),
    ],
)
def test_a_lie_is_refused_with_what_is_wrong_about_it(changes: dict[str, Any], reason: str) -> None:
    assert re.search(reason, refusal_of(**changes))


def test_requests_faster_than_any_machine_makes_them_are_not_believed() -> None:
    recorder = Recorder()
    recorder.record("GET", "/", 0.1, 1, 200)
    table = recorder.take()
    (stats,) = table.endpoints.values()
    (bucket,) = stats.duration.buckets
    stats.duration.buckets[bucket] = stats.duration.count = stats.successes["2xx"] = 10**12
    assert "it reports more requests than are possible" in refusal_of(delta=pack_table(table))


def test_statistics_that_nobody_asked_for_are_not_taken_without_end() -> None:
    run, master = new_run()
    try:
        letters = master.listener
        assert isinstance(letters, Letters)
        liar = MadeUpWorker(master, letters, "liar")
        for _ in range(1000):
            liar.report(requests=1)
        run._emit()
        (loss,) = losses_of(run)
        assert "more often than they are requested" in loss.detail
    finally:
        run.close()


def test_what_is_no_message_from_a_worker_ends_its_part_and_from_others_is_dropped() -> None:
    run, master = new_run()
    try:
        letters = master.listener
        assert isinstance(letters, Letters)
        liar = MadeUpWorker(master, letters, "liar")
        master.received(b"somebody", b"garbage")
        master.received(b"somebody", b"\xdd" + (2**24).to_bytes(4, "big") + b"\x90" * 2**24)
        assert losses_of(run) == ()
        assert master.registry.dropped_frames == 2
        master.received(liar.peer, b"\xdd" + (2**24).to_bytes(4, "big") + b"\x90" * 2**24)
        (loss,) = losses_of(run)
        assert loss.worker == "liar"
    finally:
        run.close()


def test_a_large_report_of_a_worker_that_a_restarted_master_does_not_know_makes_it_say_hello() -> None:
    run, master = new_run()
    try:
        letters = master.listener
        assert isinstance(letters, Letters)
        stranger = MadeUpWorker(master, letters, joins=False)
        stranger.echo(Retransmit(1, bytes(LARGEST_JOINING_FRAME_BYTES)))
        assert stranger.got(Reregister)
        stranger.join()
        stranger.report(requests=3)
        run._emit()
        assert run.last.total.requests == 3
    finally:
        run.close()
