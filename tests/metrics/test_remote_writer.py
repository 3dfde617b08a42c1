"""The writer of remote write on a fake clock, with a receiver that is made up: queue, repetition, losses, the end."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cramjam
import gevent
import pytest
import requests

from obswarm.metrics import Receiver, RemoteWriter, SnapshotRegistry
from obswarm.metrics import remote_write as remote_write_module
from obswarm.metrics.schema import REMOTE_WRITE, Messages
from obswarm.metrics.series import PushCounts
from obswarm.record import Snapshot
from tests.support.fake_time import FakeTime
from tests.support.recorded import PAGE, MadeUpRun, result_of

MESSAGES = Messages("obswarm.test_remote_writer", REMOTE_WRITE)
URL = "http://prometheus:9090/api/v1/write"
Logged = int | tuple[int, str] | Exception


class MadeUpReceiver:
    """In place of an ApiSession: answers each push with what the test says, the last one again and again."""

    def __init__(self) -> None:
        self.replies: list[Logged] = [204]
        self.pushes: list[tuple[float, list[Any]]] = []
        """(when, series) of each attempt."""
        self.takes_s = 0.0
        self.is_closed = False
        self.clock: Callable[[], float] = lambda: 0.0

    def post(self, url: str, data: bytes, headers: dict[str, str], timeout: float) -> requests.Response:
        series = list(MESSAGES.WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(data))).timeseries)
        self.pushes.append((self.clock(), series))
        if self.takes_s:
            gevent.sleep(self.takes_s)
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, Exception):
            raise said
        status, text = said if isinstance(said, tuple) else (said, "")
        response = requests.Response()
        response.status_code, response.url, response._content = status, url, text.encode()
        response.request = requests.Request("POST", url).prepare()
        return response

    def close(self) -> None:
        self.is_closed = True

    def times(self) -> list[float]:
        return [at for at, _ in self.pushes]

    @property
    def samples(self) -> list[int]:
        """Of each push."""
        return [sum(len(each.samples) + len(each.histograms) for each in series) for _, series in self.pushes]


class Pushing:
    """A writer, its receiver, and a run on a clock that the test moves."""

    def __init__(self, time: FakeTime, receiver: MadeUpReceiver, **settings: Any) -> None:
        self.time, self.receiver = time, receiver
        self.registry = SnapshotRegistry()
        self.writer = RemoteWriter(Receiver(URL), self.registry, **settings)
        self.run = MadeUpRun([])

    def second(self) -> Snapshot:
        """A second of the run passes."""
        self.time.advance(1.0)
        found = replace(self.run.second({PAGE: [0.01]}), time_s=self.time.wall())
        self.registry.snapshot(found)
        self.writer.snapshot(found)
        self.settle()
        self.last = found
        return found

    def settle(self) -> None:
        """What was encoded is sent."""
        for _ in range(4):
            self.time.advance(0)

    def end(self, longest_s: float = 5.0) -> gevent.Greenlet:
        ending = gevent.spawn(self.writer.push_final, self.last, longest_s)
        self.settle()
        return ending

    @property
    def counts(self) -> PushCounts:
        assert self.registry.pushed is not None
        return self.registry.pushed


Make = Callable[..., Pushing]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> MadeUpReceiver:
    made = MadeUpReceiver()
    monkeypatch.setattr(remote_write_module, "ApiSession", lambda *arguments, **options: made)
    return made


@pytest.fixture
def make(receiver: MadeUpReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    time = FakeTime(monkeypatch)
    receiver.clock = time.monotonic
    monkeypatch.setattr(remote_write_module, "monotonic", time.monotonic)
    monkeypatch.setattr(remote_write_module, "wall", time.wall)
    # It would sleep after some milliseconds of work, on this clock.
    monkeypatch.setattr(remote_write_module, "cooperative", iter)
    made: list[Pushing] = []

    def one(**settings: Any) -> Pushing:
        made.append(Pushing(time, receiver, **settings))
        return made[-1]

    yield one
    for each in made:
        if each.writer._sender is not None:
            each.writer._sender.kill()


def test_nothing_is_pushed_of_a_run_without_a_snapshot(make: Make, receiver: MadeUpReceiver) -> None:
    pushing = make()
    pushing.writer.push_final(None, 5.0)
    assert receiver.pushes == []
    assert pushing.counts == PushCounts(0, {"refused": 0, "overflow": 0, "end": 0})


def test_a_snapshot_is_pushed_when_the_interval_has_passed(make: Make, receiver: MadeUpReceiver) -> None:
    pushing = make(interval_s=3.0)
    for _ in range(7):
        pushing.second()
    assert receiver.times() == [1001.0, 1004.0, 1007.0]
    assert pushing.counts.sent == sum(receiver.samples)


def test_each_run_has_its_own_instance_unless_one_is_given(
    make: Make, receiver: MadeUpReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote_write_module.platform, "node", lambda: "")
    make(static_labels={"team": "search"}).second()
    assert caplog.records == []
    make(instance="nightly").second()
    (_, own), (_, given) = receiver.pushes

    def labels(series: list[Any], name: str) -> set[str]:
        return {label.value for each in series for label in each.labels if label.name == name}

    assert labels(own, "instance") == {"obswarm:20260131-120000-abcd"}
    assert labels(given, "instance") == {"nightly"}
    assert labels(own, "team") == {"search"}
    assert caplog.text.count("--remote-write-instance nightly: concurrent runs with the same instance") == 1


# A receiver that fails.
FAILURES: list[Logged] = [503, 500, 429, requests.ConnectionError("refused"), requests.ReadTimeout("slow")]


@pytest.mark.parametrize("said", FAILURES, ids=["503", "500", "429", "no connection", "no answer"])
def test_what_may_be_accepted_later_is_sent_again_after_longer_and_longer_pauses(
    make: Make, receiver: MadeUpReceiver, caplog: pytest.LogCaptureFixture, said: Logged
) -> None:
    receiver.replies = [said]
    pushing = make(interval_s=60.0)
    pushing.second()
    pushing.time.advance(20)
    gaps = [later - earlier for earlier, later in zip(receiver.times(), receiver.times()[1:], strict=False)]
    assert gaps[:6] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert pushing.counts.sent == 0
    assert caplog.text.count("The run goes on; up to") == 1, "not once for each attempt"
    receiver.replies = [204]
    with caplog.at_level(logging.INFO):
        pushing.time.advance(5)
    assert pushing.counts.sent == receiver.samples[-1]
    assert "--remote-write: the receiver accepts samples again." in caplog.text
    assert sum(pushing.counts.lost.values()) == 0


def test_after_a_success_the_pauses_are_short_again(make: Make, receiver: MadeUpReceiver) -> None:
    receiver.replies = [503, 503, 503, 204, 503, 204]
    pushing = make(interval_s=1.0)
    pushing.second()
    pushing.time.advance(3)
    assert len(receiver.pushes) == 4
    pushing.second()
    pushing.time.advance(0.25)
    assert len(receiver.pushes) == 6


def test_a_refusal_is_final_and_each_kind_is_logged_once(
    make: Make, receiver: MadeUpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [(400, "bad label"), (400, "bad label"), (401, ""), 204]
    pushing = make(interval_s=1.0)
    for _ in range(4):
        pushing.second()
    assert len(receiver.pushes) == 4
    assert pushing.counts.lost["refused"] == sum(receiver.samples[:3])
    assert pushing.counts.sent == receiver.samples[3]
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert all(text.endswith("These samples are lost") for text in warnings)
    assert "bad label" in warnings[0]


@pytest.mark.parametrize(
    ("instance", "text", "hints"),
    [("nightly", "Out of order sample", True), ("nightly", "bad label", False), (None, "out of order sample", False)],
)
def test_samples_that_another_run_has_overtaken_are_a_hint_at_that_run(
    make: Make, receiver: MadeUpReceiver, caplog: pytest.LogCaptureFixture, instance: str | None, text: str, hints: bool
) -> None:
    receiver.replies = [(400, text)]
    make(instance=instance).second()
    assert ("Is another run pushing with --remote-write-instance nightly?" in caplog.text) == hints


def test_when_too_much_waits_the_oldest_is_lost_and_the_newest_delivered(make: Make, receiver: MadeUpReceiver) -> None:
    receiver.replies = [503]
    pushing = make(interval_s=1.0, queue=2)
    for _ in range(5):
        pushing.second()
    assert pushing.counts.lost["overflow"] > 0
    assert pushing.counts.sent == 0
    receiver.replies = [204]
    pushing.time.advance(10)
    assert len(receiver.samples) > 2
    assert pushing.counts.sent == sum(receiver.samples[-2:])
    assert pushing.counts.lost["end"] == pushing.counts.lost["refused"] == 0


def test_a_push_that_was_delivered_after_all_is_not_counted_as_lost(make: Make, receiver: MadeUpReceiver) -> None:
    """It was dropped from the full queue while the receiver took its time."""
    receiver.takes_s = 2.5
    pushing = make(interval_s=1.0, queue=1)
    for _ in range(3):
        pushing.second()
    dropped = pushing.counts.lost["overflow"]
    assert dropped > receiver.samples[0]
    pushing.time.advance(30)
    first, last = receiver.samples
    assert pushing.counts.sent == first + last
    assert pushing.counts.lost["overflow"] == dropped - first, "that of the second in between"


# The end.
def test_at_the_end_the_last_snapshot_and_the_end_of_each_series_are_pushed(
    make: Make, receiver: MadeUpReceiver
) -> None:
    pushing = make(interval_s=60.0)
    pushing.second()
    pushing.second()
    end = pushing.end()
    pushing.time.advance(1)
    assert end.dead
    assert receiver.is_closed
    assert len(receiver.pushes) == 3
    _, last = receiver.pushes[-1]
    stamps = {sample.timestamp for each in last for sample in each.samples}
    assert stamps == {int((pushing.last.time_s + 1.0) * 1000)}, "queries still show the last sample"
    assert pushing.counts.sent == sum(receiver.samples)
    assert sum(pushing.counts.lost.values()) == 0


def test_what_is_not_delivered_by_the_deadline_is_lost_and_counted(
    make: Make, receiver: MadeUpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [503]
    pushing = make(interval_s=1.0)
    pushing.second()
    end = pushing.end(longest_s=5.0)
    pushing.time.advance(4.9)
    assert not end.dead
    pushing.time.advance(0.2)
    assert end.dead
    assert pushing.counts.sent == 0
    lost = pushing.counts.lost["end"]
    assert lost > 0
    assert f"--remote-write: {lost:,} of {lost:,} samples were not delivered (end: {lost:,})." in caplog.text


def test_a_healthy_receiver_has_a_second_even_without_lingering(make: Make, receiver: MadeUpReceiver) -> None:
    pushing = make(interval_s=1.0)
    pushing.second()
    receiver.takes_s = 0.3
    end = pushing.end(longest_s=0.0)
    pushing.time.advance(0.9)
    assert end.dead
    assert sum(pushing.counts.lost.values()) == 0


def test_a_run_with_an_instance_of_its_own_waits_until_the_next_one_may_begin(
    make: Make, receiver: MadeUpReceiver
) -> None:
    pushing = make(interval_s=1.0, instance="nightly")
    pushing.second()
    end = pushing.end()
    pushing.time.advance(0.9)
    assert not end.dead
    pushing.time.advance(0.2)
    assert end.dead


def test_an_interrupted_end_still_counts_what_is_lost(make: Make, receiver: MadeUpReceiver) -> None:
    receiver.replies = [503]
    pushing = make(interval_s=1.0)
    pushing.second()
    end = pushing.end(longest_s=60.0)
    end.kill(block=False)
    pushing.time.advance(0.1)
    assert end.dead
    assert pushing.counts.lost["end"] > 0
    assert receiver.is_closed


def test_the_last_push_is_at_the_end_of_the_output(make: Make, receiver: MadeUpReceiver) -> None:
    pushing = make(interval_s=60.0, linger_s=3.0)
    pushing.second()
    pushing.second()
    pushing.writer.finish(result_of(pushing.last))
    assert len(receiver.pushes) == 1
    closing = gevent.spawn(pushing.writer.close)
    pushing.settle()
    pushing.time.advance(2)
    assert closing.dead
    assert len(receiver.pushes) == 3
    assert pushing.writer.name == f"--remote-write {URL}"


def test_a_sender_that_keeps_failing_fails_the_output(
    make: Make, receiver: MadeUpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushing = make(interval_s=1.0)

    def fails(batch: Any) -> bool:
        raise ValueError("a fault")

    monkeypatch.setattr(pushing.writer, "_send", fails)
    pushing.second()
    pushing.time.advance(30)
    with pytest.raises(ValueError, match="a fault"):
        pushing.second()


def test_a_run_that_is_gone_on_with_writes_nothing_before_what_is_there(make: Make, receiver: MadeUpReceiver) -> None:
    pushing = make(interval_s=1.0)
    before = replace(pushing.run.second({PAGE: [0.01]}), time_s=pushing.time.wall() + 0.5)
    pushing.registry.restored(before, [])
    pushing.writer.restored(before, [])
    pushing.second()
    ((_, series),) = receiver.pushes
    assert all(sample.timestamp > before.time_s * 1000 for each in series for sample in each.samples)
