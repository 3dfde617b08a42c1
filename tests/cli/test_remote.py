"""A run that another master makes, whose end is never told: its client has what it saw."""

import math
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.app import client as remote_module
from obswarm.app.client import Master, RemoteRun, request_of
from obswarm.app.run_service import MasterRunService
from obswarm.cli.run import config_of
from obswarm.cli.run import run as run_command
from obswarm.config import RunConfig, TargetTable
from obswarm.engine import Output, Outputs, RunResult, StopReason
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.record import RunState, Snapshot, StopKind
from obswarm.web import (
    RUNS_PATH,
    SERVICE_PATH,
    MasterClient,
    MasterError,
    RunEvents,
    RunRequest,
    RunsApp,
    WebServer,
)
from obswarm.web import client as client_module
from obswarm.web.client import End, Submitted
from tests.cli.test_service import snapshot
from tests.support.patience import HANG_S
from tests.support.stalls import StallMeter

ORDER = RunRequest(RunConfig(), ["a.py"], False, "", b"x")


class Client:
    """Tells what it is given, and raises what is an exception."""

    def __init__(self, *told: Any) -> None:
        self._told = told
        self.given_up = False
        self.give_up_at_s = math.inf
        self.restarts = 0
        self.stops = 0
        self.aborts: list[bool] = []
        self.accepts = False

    def submit(self, request: RunRequest) -> Submitted:
        return Submitted("one", 2, "20261129-183207-k3v9")

    def events(self, number: str) -> Iterator[Any]:
        for each in self._told:
            if isinstance(each, Exception):
                raise each
            yield each

    def stop(self, number: str, reason: StopReason, abort: bool) -> None:
        self.stops += 1
        self.aborts.append(abort)
        if self.accepts:
            return
        raise MasterError("No master answers.")

    def give_up(self) -> None:
        self.given_up = True

    def give_up_at(self, time_s: float) -> None:
        self.give_up_at_s = time_s


class Seen(Output):
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


GONE = MasterError("The master has not answered for 1m.")


@pytest.mark.parametrize("end", [GONE, End(None, 2, str(GONE))], ids=["silence", "an error without a result"])
def test_what_was_seen_is_the_result_of_a_run_whose_master_does_not_tell_the_end(end: Any) -> None:
    seen = Seen()
    run = RemoteRun(Client(snapshot(3), snapshot(9), end), ORDER, Outputs([seen]))  # type: ignore[arg-type]
    result: RunResult = run.run()
    assert len(seen.snapshots) == 2
    assert result.final.total.requests == 9
    assert (result.run_id, result.stop_reason.kind, run.exit_code) == ("run-2", "lost", 4)
    assert str(result.error) == str(GONE)
    assert result.users_max == 4
    (loss,) = result.losses
    assert (loss.worker, loss.users, loss.requests) == ("all workers", 4, None)
    assert loss.unreported_s > 0


def test_a_run_of_which_nothing_was_seen_is_an_error() -> None:
    with pytest.raises(ObswarmError, match="has not answered"):
        RemoteRun(Client(GONE), ORDER, Outputs([])).run()  # type: ignore[arg-type]


def test_a_second_ctrl_c_does_not_wait_for_a_master_that_is_gone() -> None:
    client = Client()
    run = RemoteRun(client, ORDER, Outputs([]))  # type: ignore[arg-type]
    run.stop(StopReason(StopKind.SIGNAL, "Ctrl-C"))
    assert not client.given_up
    run.abort(StopReason(StopKind.SIGNAL, "Ctrl-C"))
    assert client.given_up


def test_a_stop_is_asked_for_until_the_master_does_it_and_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_module, "_AGAIN_S", 0.005)
    client = Client()
    run = RemoteRun(client, ORDER, Outputs([]), end_max_s=30.0)  # type: ignore[arg-type]
    began_s = clock.monotonic()

    def passed_s() -> float:
        return clock.monotonic() - began_s

    def asked(times: int) -> bool:
        with gevent.Timeout(HANG_S):
            while client.stops < times:
                gevent.sleep(0.005)
        return True

    run.stop(StopReason(StopKind.SIGNAL, "Ctrl-C"))
    assert asked(3)
    assert 9 < client.give_up_at_s - began_s < 13 + passed_s(), "a master that does not do it is not waited for longer"
    client.accepts = True
    assert asked(client.stops + 1)
    gevent.sleep(0.05)
    stops = client.stops
    assert 39 < client.give_up_at_s - began_s < 43 + passed_s(), "the run may end in its own time"
    client.restarts += 1
    assert asked(stops + 1)
    gevent.sleep(0.05)
    assert client.stops == stops + 1, "another process of the master is asked, too"
    assert 9 < client.give_up_at_s - began_s < 13 + passed_s()


def test_the_request_to_stop_ends_with_the_run() -> None:
    client = Client(snapshot(3), GONE)
    run = RemoteRun(client, ORDER, Outputs([]))  # type: ignore[arg-type]
    run.stop(StopReason(StopKind.SIGNAL, "Ctrl-C"))
    insisting = run._insisting
    assert insisting is not None
    run.run()
    assert insisting.dead
    run.stop(StopReason(StopKind.SIGNAL, "Ctrl-C"))
    assert run._insisting is insisting, "a run that is over is not stopped"


def test_a_run_that_was_ending_before_the_signal_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "_AGAIN_S", 0.005)
    monkeypatch.setattr(remote_module, "_ABORT_AFTER_S", 0.05)
    ending = replace(snapshot(3), state=RunState.STOPPING)
    client = Client(ending, GONE)
    run = RemoteRun(client, ORDER, Outputs([]), end_max_s=30.0)  # type: ignore[arg-type]
    run.run()
    run._is_over = False
    client.accepts = True
    began_s = clock.monotonic()
    run.stop(StopReason(StopKind.SIGNAL, "terminated (SIGTERM)"))
    with gevent.Timeout(HANG_S):
        while True not in client.aborts:
            gevent.sleep(0.005)
    assert client.aborts == [False, True]
    assert client.give_up_at_s - began_s < 13 + clock.monotonic() - began_s


class Served(NamedTuple):
    """The API of a service, and where it is."""

    service: MasterRunService
    url: str


@pytest.fixture
def served() -> Iterator[Served]:
    service = MasterRunService(lambda request: None)
    runs = RunsApp(service, "token")
    applications = {SERVICE_PATH: runs, RUNS_PATH: runs, f"{RUNS_PATH}/": runs}
    with WebServer(MetricsApp(SnapshotRegistry()), "127.0.0.1", 0, applications) as server:
        yield Served(service, server.url)


@pytest.mark.parametrize("alive", [True, False])
def test_whoever_gives_up_does_not_wait_for_the_end_of_a_run_whatever_its_master_does(
    served: Served, alive: bool
) -> None:
    client = MasterClient(served.url, "token")
    served.service.begin("one" if alive else "another", RunEvents())
    began_s = clock.monotonic()
    client.give_up_at(began_s + 0.3)
    with StallMeter() as stalls, gevent.Timeout(HANG_S), pytest.raises(MasterError):
        list(client.events("one"))
    assert clock.monotonic() - began_s < stalls.allowed_s(3)


def test_a_worker_that_connects_again_is_waited_for_but_not_for_ever(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_AGAIN_S", 0.01)
    client = MasterClient(served.url, "token")
    connected = {"one": 1}
    served.service.wait_with(lambda: connected)
    assert not client.wait_for_workers(2, 0.1)
    gevent.spawn_later(0.1, connected.update, two=1)
    assert client.wait_for_workers(2, 30.0)
    served.service.begin("one", RunEvents())
    assert client.wait_for_workers(3, 30.0), "a run that is going on has its workers"


def test_a_master_that_waits_and_does_not_know_the_run_has_lost_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_UNKNOWN_S", 0.2)
    monkeypatch.setattr(client_module, "_AGAIN_S", 0.05)
    client = MasterClient(served.url, "token")
    served.service.begin("another", RunEvents())
    events = RunEvents()
    events.snapshot(snapshot(5))
    gevent.spawn_later(0.6, served.service.begin, "one", events)
    events = client.events("one")
    assert next(events).total.requests == 5  # type: ignore[union-attr]
    served.service.begin("another", RunEvents())
    served.service.wait_with(dict)
    with pytest.raises(MasterError, match="does not know the run any more"):
        next(events)


MASTER = Master("http://10.0.0.5:8089", "token", "the master")
STACK = replace(MASTER, host_name="host.docker.internal", services={18080: "load-balancer:18080"})
HERE = "node=http://me:key@127.0.0.1:9100/metrics?a=b"


def asked_for(folder: Path, options: Sequence[str], master: Master) -> RunRequest:
    """What that master is asked for by `obswarm run` with these options."""
    (folder / "a.py").write_text("")
    config = config_of(run_command.make_context("run", ["a.py", *options]))
    plan = Namespace(files=[folder / "a.py"], loaded=Namespace(opened=[]), environment=Namespace(user_classes=[]))
    return request_of(config, plan, master)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("master", "target", "there"),
    [
        (MASTER, HERE, HERE),
        (STACK, HERE, "node=http://me:key@host.docker.internal:9100/metrics?a=b"),
        (STACK, "haproxy=http://localhost:18080/metrics", "haproxy=http://load-balancer:18080/metrics"),
        (STACK, "mysql=http://db:9104/metrics", "mysql=http://db:9104/metrics"),
    ],
)
def test_the_targets_of_a_run_go_with_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, master: Master, target: str, there: str
) -> None:
    monkeypatch.chdir(tmp_path)
    redis = "redis=http://cache:9121/metrics"

    def targets_of_run(options: list[str]) -> tuple[str, ...]:
        return asked_for(tmp_path, options, master).config.targets.targets

    assert targets_of_run(["--target", target, "--target", redis]) == (there, redis)
    assert targets_of_run([]) == ()
    monkeypatch.setenv("OBSWARM_TARGET", target)
    assert targets_of_run([]) == (there,)


def test_the_targets_of_a_file_go_with_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[[targets]]\nkind = "mysql"\nurl = "http://db:9104/metrics"\n'
    (tmp_path / "obswarm.toml").write_text(text)
    expected = (TargetTable("mysql", "http://db:9104/metrics"),)
    assert asked_for(tmp_path, [], MASTER).config.file.targets == expected
    (tmp_path / "obswarm.toml").unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.obswarm]\n" + text.replace("[[t", "[[tool.obswarm.t"))
    assert asked_for(tmp_path, [], MASTER).config.file.targets == expected
