"""Snapshots and results come through as they were."""

from dataclasses import fields, replace

import pytest

from obswarm.api import Environment, Events, ObswarmError, User, task
from obswarm.engine import FailedOutput, Ramp, RunResult, StopReason, WorkerLoss
from obswarm.record import (
    AlertCount,
    AlertStatus,
    Annotation,
    GeneratorHealth,
    GuardState,
    GuardView,
    RefusedAlerts,
    RunState,
    Snapshot,
    StopKind,
    TargetView,
)
from obswarm.stats import (
    NO_FREE_USER,
    TOTAL,
    CustomKey,
    CustomKind,
    CustomSeries,
    EndpointKey,
    EndpointStats,
    InFlight,
    Recorder,
)
from obswarm.web.wire import NotReadable, pack_result, pack_snapshot, unpack_result, unpack_snapshot
from tests.support.runs import local_run


class Nobody(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def snapshot() -> Snapshot:
    custom = CustomSeries()
    for name, value in (("gold", 2.5), ("free", 1.0)):
        custom.series(CustomKey("orders", CustomKind.COUNTER, "orders", (("tier", name),))).add(value)
    env = Environment(events=Events(), recorder=Recorder(custom=custom), user_classes=[Nobody])
    for number in range(100):
        env.recorder.record("GET", f"/ü{number % 3}", 0.01 * (number + 1), 100, 200, trace_id="a" * 32)
    env.recorder.record("POST", "/x", 90.0, 0, 503, "HTTP 503")
    env.recorder.record_iteration("Nobody")
    env.recorder.record_dropped("Nobody", NO_FREE_USER, 3)
    env.recorder.record_exception("KeyError: 'a'", "Traceback …")
    env.recorder.record_cut_off("request", "GET", "/x", 1.5)
    env.recorder.pending[object()] = ("GET", "/x", 0.0, False)
    found = local_run(env, Ramp(1, 1), test="t.py").latest()
    interval = {key: stats for key, stats in found.endpoints.items() if key.name == "/x"}
    return replace(
        found,
        state=RunState.HOLDING,
        host="http://a",
        interval=interval,
        interval_total=next(iter(interval.values())).copy(),
        workers=(GeneratorHealth("w", 3, 0.5, 0.01, 1000, True, "ready", 100.0, 7, 1, 0.5),),
        guards=(GuardView("g", "rps > 1", "stop", GuardState.TRIPPED, None, "–", 5.5, (("stop", 2),)),),
        alerts=(AlertCount("A", AlertStatus.FIRING, "grafana", 3),),
        refused_alerts=(RefusedAlerts("labels", 3, "alerts[0] (A) has 65 labels"),),
        annotation_counts={"start": 1, "guard": 2},
        planned_s=60.0,
        users={"Nobody": 3},
        users_target={"Nobody": 4},
        interval_exceptions=1,
        interval_interrupted=1,
        users_max=5,
        rates_target={"Nobody": 2.5},
        iterations_target={"Nobody": 9},
        iterations_ended={"Nobody": 1},
        interval_custom=dict(list(found.custom.items())[:1]),
    )


def assert_nothing_is_at_its_default(value: Snapshot | RunResult, *but: str) -> None:
    """A field at its default would come through without being sent."""
    for field in fields(value):
        if field.name not in but:
            assert getattr(value, field.name) not in (None, {}, (), 0, False), field.name


def figures(stats: EndpointStats) -> tuple:
    return (
        stats.requests,
        stats.failures,
        stats.min_s,
        stats.max_s,
        stats.response_bytes,
        stats.successes,
        stats.failures_by,
        stats.duration.buckets,
        stats.duration.sum_ns,
        stats.exemplars(),
    )


def assert_same(one: Snapshot, other: Snapshot) -> None:
    for field in fields(Snapshot):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("total", "interval_total"):
            assert figures(mine)[:-1] == figures(theirs)[:-1], field.name
        elif field.name in ("endpoints", "interval"):
            assert {key: figures(stats) for key, stats in mine.items()} == {
                key: figures(stats) for key, stats in theirs.items()
            }
        else:
            assert mine == theirs, field.name


def test_a_snapshot_comes_through(snapshot: Snapshot) -> None:
    assert_nothing_is_at_its_default(snapshot)
    assert_same(unpack_snapshot(pack_snapshot(snapshot)), snapshot)


@pytest.mark.parametrize("error", [None, ObswarmError("it broke")])
def test_a_result_comes_through(snapshot: Snapshot, error: ObswarmError | None) -> None:
    result = RunResult(
        run_id=snapshot.run_id,
        started_s=1.5,
        ended_s=9.5,
        duration_s=8.0,
        stop_reason=StopReason(StopKind.GUARD, "too many errors"),
        error=error,
        users_max=12,
        final=snapshot,
        saturated=True,
        max_loop_lag_s=0.25,
        max_cpu_ratio=0.75,
        forced=True,
        losses=(WorkerLoss("w", "killed", 1.0, 4),),
        annotations=(Annotation(2.0, "stage", "Stage 2"),),
        refused_handshakes=5,
        dropped_frames=6,
        failed_outputs=(FailedOutput("--csv shop", "no space left", False),),
        targets=(TargetView("db", "mysql", 5.0, 3.0, 0.0, "Target db (mysql) was down for 3s of 8s: refused."),),
        in_flight_peaks={EndpointKey("GET", "/a"): InFlight(7, 3.5), TOTAL: InFlight(9, 3.5)},
        feeds={"rows.csv": {"rows": 9, "handed_out": 5, "unused": 2}},
        limit={"met": 80, "not_met": None, "levels": [{"load": 80.5, "met": True}]},
    )
    assert_nothing_is_at_its_default(result, "error")
    found = unpack_result(pack_result(result))
    assert str(found.error) == str(error)
    assert_same(found.final, snapshot)
    for field in fields(RunResult):
        if field.name not in ("error", "final"):
            assert getattr(found, field.name) == getattr(result, field.name), field.name


def test_what_of_a_result_cannot_be_packed_is_lost_and_not_the_result(snapshot: Snapshot) -> None:
    broken = dict(snapshot.endpoints)
    key = next(iter(broken))
    broken[key].response_bytes = -1
    result = RunResult(
        run_id=snapshot.run_id,
        started_s=1.5,
        ended_s=9.5,
        duration_s=8.0,
        stop_reason=StopReason(StopKind.TIME, "over"),
        error=None,
        users_max=12,
        final=replace(snapshot, endpoints=broken),
        saturated=False,
        max_loop_lag_s=0.25,
        max_cpu_ratio=0.75,
        forced=False,
    )
    found = unpack_result(pack_result(result))
    (loss,) = found.losses
    assert (loss.worker, loss.requests) == ("master", broken[key].requests)
    assert found.final.total.requests + loss.requests == snapshot.total.requests


@pytest.mark.parametrize("packed", [b"", b"\x00", b"\x96" + b"\xc0" * 6, b"\x93\x01\x02\x03"])
def test_a_reply_of_another_form_is_refused(packed: bytes) -> None:
    for unpack in (unpack_snapshot, unpack_result):
        with pytest.raises(NotReadable):
            unpack(packed)
