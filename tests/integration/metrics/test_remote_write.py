"""Pushing to receivers that refuse, falter, or want a password."""

import logging
import platform
import time
from dataclasses import replace

import cramjam
import gevent
import pytest

from obswarm.api import Environment, Events, User, task
from obswarm.clock import wall
from obswarm.engine import Ramp
from obswarm.http import ApiAccess
from obswarm.metrics import Receiver, RemoteWriter, SnapshotRegistry
from obswarm.metrics.schema import REMOTE_WRITE, Messages
from obswarm.record import Snapshot
from obswarm.stats import Recorder
from tests.support.patience import HANG_S
from tests.support.runs import local_run
from tests.support.scripted_server import HANG, Exchange, ScriptedServer, answer
from tests.support.stalls import StallMeter

MESSAGES = Messages("obswarm.test_remote_write", REMOTE_WRITE)
NO_CONTENT = [b"HTTP/1.1 204 No Content\r\n\r\n"]


class Nobody(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def snapshot() -> Snapshot:
    env = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    for number in range(100):
        env.recorder.record("GET", f"/{number % 3}", 0.01 * (number + 1), 100, 200)
    return local_run(env, Ramp(1, 1), test="t.py").latest()


def writer(receiver: Receiver, snapshot: Snapshot, **settings: object) -> tuple[RemoteWriter, SnapshotRegistry]:
    latest = SnapshotRegistry()
    latest.snapshot(snapshot)
    return RemoteWriter(receiver, latest, {"team": "search"}, **settings), latest  # type: ignore[arg-type]


def pushed(exchange: Exchange) -> list:
    """The series of a push."""
    return list(MESSAGES.WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(exchange.body))).timeseries)


def decoded(exchange: Exchange) -> list[dict[str, str]]:
    """The labels of all series of a push."""
    return [{label.name: label.value for label in series.labels} for series in pushed(exchange)]


def test_a_push_has_the_series_of_the_contract_with_sorted_labels(snapshot: Snapshot) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, latest = writer(Receiver(server.url + "/api/v1/write"), snapshot)
        pusher.push_final(snapshot, 5)
        exchange, end = server.exchanges
        assert exchange.request_line == "POST /api/v1/write HTTP/1.1"
        assert exchange.header("content-encoding") == "snappy"
        assert exchange.header("content-type") == "application/x-protobuf"
        assert exchange.header("x-prometheus-remote-write-version") == "0.1.0"
        series = decoded(exchange)
        samples = [len(each.samples) + len(each.histograms) for each in pushed(exchange)]
        ended = decoded(end)
    assert all(list(labels) == sorted(labels) for labels in series)
    assert all({"team", "job", "instance"} <= set(labels) for labels in series)
    names = [labels["__name__"] for labels in series]
    assert names.count("obswarm_requests_total") == 3
    assert names.count("obswarm_request_duration_seconds") == 3
    assert names.count("obswarm_request_duration_seconds_bucket") == 60
    assert {labels["instance"] for labels in series} == {f"{platform.node()}:{snapshot.run_id}"}
    assert sorted(map(str, ended)) == sorted(map(str, series)), "each of them has a stale marker"
    assert latest.pushed is not None
    assert latest.pushed.sent == sum(samples) + len(ended)
    counted = ("_total", "_seconds", "_bucket", "_count", "_sum")
    gauges = ("obswarm_oldest_request_seconds", "obswarm_run_start_timestamp_seconds")
    assert {name for name, number in zip(names, samples, strict=True) if number == 2} == {
        name for name in names if name.endswith(counted) and name not in gauges
    }, "they begin with a sample of 0"
    assert set(latest.pushed.lost.values()) == {0}


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"auth": "user:pass:word"}, "Basic dXNlcjpwYXNzOndvcmQ="),
        ({"token": "abc"}, "Bearer abc"),
        ({}, None),
    ],
)
def test_authentication(snapshot: Snapshot, access: dict[str, str], header: str | None) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, _ = writer(Receiver(server.url, ApiAccess(**access)), snapshot)
        pusher.push_final(snapshot, 5)
        assert server.exchanges[0].header("authorization") == header


@pytest.mark.parametrize("status", ["429 Slow Down", "500 Oops", "503 Not Now"])
def test_what_may_pass_is_tried_again(snapshot: Snapshot, status: str, caplog) -> None:
    with ScriptedServer(answer(b"later", status=status), NO_CONTENT) as server, caplog.at_level(logging.INFO):
        pusher, latest = writer(Receiver(server.url), snapshot)
        pusher.push_final(snapshot, 5)
        assert len(server.exchanges) == 3
        assert server.exchanges[0].body == server.exchanges[1].body
    assert latest.pushed.lost == {"refused": 0, "overflow": 0, "end": 0}
    assert f"(HTTP {status[:3]}: later). The run goes on" in caplog.text
    assert "accepts samples again" in caplog.text


def test_what_is_refused_is_lost_and_counted(snapshot: Snapshot, caplog) -> None:
    with ScriptedServer(answer(b"out of order sample", status="400 Bad Request")) as server:
        pusher, latest = writer(Receiver(server.url), snapshot)
        pusher.push_final(snapshot, 5)
        assert len(server.exchanges) == 2
    assert latest.pushed.sent == 0
    assert latest.pushed.lost["refused"] > 60
    assert "(HTTP 400: out of order sample" in caplog.text
    assert (
        f"{latest.pushed.lost['refused']:,} of {latest.pushed.lost['refused']:,} samples were not delivered"
        in caplog.text
    )


@pytest.mark.parametrize(("instance", "hinted"), [("ci", True), (None, False)])
def test_a_conflict_under_a_name_of_ones_own_is_explained(snapshot: Snapshot, caplog, instance, hinted) -> None:
    with ScriptedServer(answer(b"Out of order sample from remote write", status="400 Bad Request")) as server:
        pusher, _ = writer(Receiver(server.url), snapshot, instance=instance)
        pusher.push_final(snapshot, 5)
        if instance is not None:
            assert {labels["instance"] for labels in decoded(server.exchanges[0])} == {instance}
    assert ("Is another run pushing with --remote-write-instance ci?" in caplog.text) == hinted
    assert ("--remote-write-instance ci: concurrent runs with the same instance" in caplog.text) == hinted


def test_a_run_without_a_result_ends_its_series_all_the_same(snapshot: Snapshot) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, _ = writer(Receiver(server.url), snapshot)
        pusher.snapshot(snapshot)
        pusher.push_final(None, 5)
        pushed, ended = map(decoded, server.exchanges)
    assert sorted(map(str, ended)) == sorted(map(str, pushed))


def test_what_never_pushed_has_nothing_to_end(snapshot: Snapshot) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, _ = writer(Receiver(server.url), snapshot)
        pusher.push_final(None, 5)
        assert server.exchanges == []


def test_the_queue_is_bounded_and_the_oldest_go_first(snapshot: Snapshot, caplog) -> None:
    pusher, latest = writer(Receiver("http://127.0.0.1:1/write"), snapshot, interval_s=1, queue=3)
    for second in range(10):
        pusher.snapshot(replace(snapshot, time_s=snapshot.time_s + second))
        gevent.sleep(0.05)
    assert len(pusher._queue) == 3
    each = latest.pushed.lost["overflow"] / 7
    assert each > 60
    pusher.push_final(replace(snapshot, time_s=snapshot.time_s + 11), 0.2)
    assert latest.pushed.sent == 0
    assert latest.pushed.lost["overflow"] > 0
    assert latest.pushed.lost["end"] > 0
    assert "Connection refused" in caplog.text
    assert "were not delivered" in caplog.text


def test_pushes_keep_their_interval(snapshot: Snapshot) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, _ = writer(Receiver(server.url), snapshot, interval_s=5)
        for second in range(12):
            pusher.snapshot(replace(snapshot, time_s=snapshot.time_s + second))
        pusher.push_final(replace(snapshot, time_s=snapshot.time_s + 12), 5)
        assert len(server.exchanges) == 5


def test_a_receiver_that_hangs_holds_the_end_up_no_longer_than_it_may(snapshot: Snapshot) -> None:
    with ScriptedServer([HANG]) as server:
        pusher, latest = writer(Receiver(server.url), snapshot)
        with StallMeter() as stalls, gevent.Timeout(HANG_S):
            began_s = time.monotonic()
            pusher.push_final(snapshot, 0.3)
            took_s = time.monotonic() - began_s
    assert took_s < 0.3 + stalls.allowed_s(1)
    assert latest.pushed.lost["end"] > 60


def test_series_of_successive_runs_have_ended_before_the_next_one_can_begin(snapshot: Snapshot) -> None:
    """It begins with samples of 0, which must not be older than the stale markers."""
    with ScriptedServer(NO_CONTENT) as server:
        final = replace(snapshot, time_s=wall())
        pusher, _ = writer(Receiver(server.url), final, instance="ci")
        pusher.push_final(final, 5)
        (marked_ms,) = {sample.timestamp for series in pushed(server.exchanges[-1]) for sample in series.samples}
    assert wall() * 1000 >= marked_ms


def test_the_end_is_pushed_also_when_nobody_is_to_be_waited_for(snapshot: Snapshot, caplog) -> None:
    """The last requests are in the last push, and a run that starts at once can write to the same series."""
    with ScriptedServer(NO_CONTENT) as server:
        pusher, latest = writer(Receiver(server.url), snapshot, instance="ci")
        pusher.snapshot(snapshot)
        final = replace(snapshot, time_s=wall())
        latest.snapshot(final)
        pusher.push_final(final, 0)
        sent = [
            {sample.timestamp for series in pushed(exchange) for sample in series.samples if sample.value}
            for exchange in server.exchanges
        ]
    last_ms = int(final.time_s * 1000)
    assert sent[1:] == [{last_ms}, {last_ms + 1}]
    assert wall() * 1000 >= last_ms + 1
    assert set(latest.pushed.lost.values()) == {0}
    assert "were not delivered" not in caplog.text


@pytest.mark.parametrize("longest_s", [0, 0.2])
def test_whatever_a_receiver_that_is_away_has_not_got_is_counted(snapshot: Snapshot, caplog, longest_s: float) -> None:
    with ScriptedServer(NO_CONTENT) as server:
        pusher, latest = writer(Receiver(server.url), snapshot)
        pusher.push_final(snapshot, 0)
        arrived = latest.pushed.sent
    pusher, latest = writer(Receiver("http://127.0.0.1:1/write"), snapshot)
    with gevent.Timeout(HANG_S):
        pusher.push_final(snapshot, longest_s)
    assert latest.pushed.lost["end"] == arrived, "all of them, markers included"
    assert f"{arrived:,} of {arrived:,} samples were not delivered (end: {arrived:,})" in caplog.text


def test_a_wait_that_is_cut_short_counts_what_was_not_even_encoded(snapshot: Snapshot, caplog) -> None:
    with ScriptedServer([HANG]) as server:
        pusher, latest = writer(Receiver(server.url), snapshot)
        waiting = gevent.spawn(pusher.push_final, snapshot, 20)
        gevent.sleep(0)
        waiting.kill()
    assert latest.pushed.lost["end"] > 60
    assert "were not delivered" in caplog.text
