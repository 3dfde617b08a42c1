"""What a master that stays does with a run that was asked for, whatever became of it before, or becomes of it now."""

import os
import socket
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import gevent
import pytest

from obswarm import clock
from obswarm.api import Environment, Events, ObswarmError
from obswarm.app import service as module
from obswarm.app.exit_status import exit_code_of
from obswarm.app.notices import Notices
from obswarm.app.pending_run import MOST_STARTS, PendingRun
from obswarm.app.service import Service
from obswarm.cli.main import cli
from obswarm.cli.master import master
from obswarm.cli.run import config_of
from obswarm.cluster import Journal, Recovered, pack
from obswarm.cluster.master import idle_workers
from obswarm.cluster.master.journal import Progress, WorkerRecord
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.engine import PartialResult
from obswarm.guards import Alert, Delivery, Refusal, RefusalReason, encode_delivery
from obswarm.record import AlertStatus, RunState, Snapshot, StopKind
from obswarm.stats import Recorder
from obswarm.web import AlertsApp, RunEvents, RunRequest


class BecomesNew(BaseException):
    """In place of the process becoming a new one."""


class Stopped(BaseException):
    """In place of waiting for the next run: the service is well."""


class FakeSession:
    """In place of a run's: `conduct` is what it does."""

    def __init__(self, config: RunConfig, outputs: list[Any], recover: Any, conduct: "Conduct") -> None:
        self.config = config
        self.outputs = outputs
        self.recover = recover
        self.terminated = False
        self._conduct = conduct

    def execute(self) -> tuple[Any, int]:
        return self._conduct(self)


class FakeEvaluator:
    def __init__(self) -> None:
        self.delivered: list[Delivery] = []

    def deliver(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)


Conduct = Callable[[FakeSession], tuple[Any, int]]


def client_config(given: Mapping[str, Any]) -> RunConfig:
    """What a client's command line gives."""
    return RunConfig.of(given, {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in given})


class Runner:
    """A service in a folder, whose runs are `conduct`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = folder / "master.run"
        self.pending = PendingRun(self.state.with_suffix(".order"))
        self.ends: list[tuple[Any, ...]] = []
        self.told: list[str] = []
        self.fetched = True
        runner = self

        def become_new() -> None:
            raise BecomesNew

        def wait(service: Service) -> None:
            raise Stopped

        class SeenNews(RunEvents):
            def end(self, result: Any, exit_code: int, error: str | None = None) -> None:
                runner.ends.append((result, exit_code, error))

            def log(self, level: int, name: str, text: str) -> None:
                runner.told.append(text)

            def wait_until_fetched(self, longest_s: float) -> bool:
                return runner.fetched

        monkeypatch.setattr(module, "reexec", become_new)
        monkeypatch.setattr(Service, "_wait", wait)
        monkeypatch.setattr(module, "RunEvents", SeenNews)
        monkeypatch.setattr(module, "set_up_logging", lambda *_: None)
        monkeypatch.setattr(module, "exporters_of", lambda *_: None)
        self.evaluator = FakeEvaluator()
        guards = Namespace(app=AlertsApp(None, "token"), evaluator=self.evaluator)
        monkeypatch.setattr(module, "guards_of", lambda *_, **__: guards)
        environment = Environment(events=Events(), recorder=Recorder())
        loadtest = Namespace(guards=(), name="a.py")
        plan = Namespace(loadtest=loadtest, requirements={}, environment=environment, loaded=None)
        monkeypatch.setattr(module, "planned", lambda config, search: (config, plan, None))

    def ask(self, begun: int = 0, given: Mapping[str, Any] | None = None) -> None:
        folder = self.state.parent / "client"
        folder.mkdir(exist_ok=True)
        (folder / "a.py").write_text("")
        packed = pack(folder, [folder / "a.py"])
        self.pending.save(
            RunRequest(client_config(given or {}), ["a.py"], False, packed.digest, packed.content, "one", 1)
        )
        for _ in range(begun):
            self.pending.begin()

    def run(self, conduct: Conduct, *options: str) -> type[BaseException]:
        """How it ends: Stopped when the service waits for the next run in this process."""
        arguments = ["--serve", "--state", str(self.state), "--web-port", "0", *options]
        ctx = master.make_context("master", arguments, parent=click.Context(cli))

        def build(config: RunConfig, *_: Any, outputs: list[Any], recover: Any, **__: Any) -> Any:
            return FakeSession(config, outputs, recover, conduct)

        try:
            Service(config_of(ctx), lambda config: None, None, build).run()  # type: ignore[arg-type,return-value]
        except (BecomesNew, Stopped) as end:
            # The server has closed it meanwhile.
            os.environ.pop("OBSWARM_INHERITED_SOCKET", None)
            return type(end)
        raise AssertionError("it ended")

    def config_of_run(self, given: Mapping[str, Any], *own: str) -> RunConfig:
        """What a run has for which a client has `given` these, by a service with options of its own."""
        seen: list[RunConfig] = []

        def conduct(session: FakeSession) -> tuple[Any, int]:
            seen.append(session.config)
            raise ObswarmError("enough")

        self.ask(given=given)
        self.run(conduct, *own)
        assert len(seen) == 1, self.ends
        return seen[0]

    def notices(self) -> list[str]:
        os.environ.pop("OBSWARM_NOTICES", None)
        return Notices(self.state.with_suffix(".notices")).take()

    def leave_journal(
        self,
        digest: str = "d",
        age_s: float = 1.0,
        run_id: str = "run-1",
        stopping: list[str] | None = None,
        workers: Mapping[str, str] | None = None,
    ) -> None:
        journal = Journal(self.state, run_id, digest, 1000.0, test="a.py")
        recorder = Recorder()
        for _ in range(7):
            recorder.record("GET", "/", 0.01, 1, 200)
        progress = Progress(clock.wall() - age_s, 5.0, 5.0, 5.0, False, {}, None, 3, stopping, [])
        memories = {
            name: WorkerRecord(name, 0, 1, 0, 0.5, None, state, 100.0, 1.0, {"A": 4}, [name])
            for name, state in (workers or {}).items()
        }
        journal.rewrite(recorder.take(), progress, memories)
        journal.close()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.chdir(tmp_path)
    for name in ("OBSWARM_NOTICES", "OBSWARM_PENDING_RUN", "OBSWARM_INHERITED_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OBSWARM_API_TOKEN", "OBSWARM_ALERTS_TOKEN"):
        monkeypatch.setenv(name, "token")
    yield Runner(tmp_path, monkeypatch)
    os.environ.pop("OBSWARM_NOTICES", None)


def snapshot(requests: int) -> Snapshot:
    recorder = Recorder()
    for _ in range(requests):
        recorder.record("GET", "/", 0.01, 1, 200)
    table = recorder.take()
    return Snapshot(
        run_id="run-2",
        test="a.py",
        host=None,
        time_s=1010.0,
        started_s=1000.0,
        stats_since_s=1000.0,
        elapsed_s=10.0,
        stats_elapsed_s=10.0,
        load_s=10.0,
        planned_s=None,
        state=RunState.RUNNING,
        users={"A": 4},
        users_target={"A": 4},
        total=table.total(),
        endpoints=table.endpoints,
        errors={},
        exceptions={},
        interrupted=0,
        iterations={},
        interval_s=1.0,
        interval={},
        interval_total=table.total(),
    )


def raising(error: BaseException, seen: int = 0) -> Conduct:
    def conduct(session: FakeSession) -> tuple[Any, int]:
        if seen:
            for output in session.outputs:
                output.snapshot(snapshot(seen))
        raise error

    return conduct


def never(*_: Any) -> tuple[Any, int]:
    raise AssertionError("it is not run")


def test_files_of_a_service_are_where_it_was_started_and_not_in_the_folder_of_a_run(
    runner: Runner, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def conduct(session: FakeSession) -> tuple[Any, int]:
        written = session.config.outputs
        seen.update(
            folder=Path.cwd(), logfile=written.logfile, csv=written.csv, json=written.json_file, junit=written.junit
        )
        raise RuntimeError

    runner.ask()
    runner.run(conduct, "--logfile", "svc.log", "--csv=out/run", "--json=-", "--junit", str(tmp_path / "a.xml"))
    assert seen["folder"] == runner.pending.files
    assert (seen["logfile"], seen["csv"]) == (str(tmp_path / "svc.log"), str(tmp_path / "out" / "run"))
    assert (seen["json"], seen["junit"]) == ("-", str(tmp_path / "a.xml"))


CRASHES = [
    RuntimeError("a bug"),
    AssertionError(),
    MemoryError(),
    OSError(28, "No space left on device"),
    RecursionError("too deep"),
    SystemExit(0),
    SystemExit("sys.exit"),
    KeyboardInterrupt(),
    gevent.Timeout(1),
    gevent.GreenletExit(),
    StopIteration(),
]
REFUSALS = [ObswarmError("There is no such thing.")]


@pytest.mark.parametrize("error", [*CRASHES, *REFUSALS], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("measured", ["nothing", "seen", "in the journal"])
def test_no_exception_of_a_run_ends_the_service_and_its_client_gets_what_was_measured(
    runner: Runner, error: BaseException, measured: str
) -> None:
    runner.ask()

    def conduct(session: FakeSession) -> tuple[Any, int]:
        if measured == "in the journal":
            runner.leave_journal()
        return raising(error, 9 if measured == "seen" else 0)(session)

    assert runner.run(conduct) is BecomesNew, "nothing of the run is left in the process"
    ((result, code, text),) = runner.ends
    assert text
    if measured == "nothing":
        assert (result, code) == (None, 2)
        assert runner.notices() == []
    else:
        assert code == 4
        assert result.stop_reason.kind is StopKind.LOST
        assert str(result.error) == text
        assert result.final.total.requests == (9 if measured == "seen" else 7)
    assert runner.pending.read() == (None, 0)
    assert not runner.state.exists()


def test_the_next_client_is_told_what_became_of_the_run_before(runner: Runner) -> None:
    runner.ask()

    def crash(session: FakeSession) -> tuple[Any, int]:
        runner.leave_journal()
        raise RuntimeError("a bug")

    runner.run(crash)
    runner.ask()
    runner.run(raising(ObswarmError("no matter")))
    (told,) = [text for text in runner.told if "run-1" in text]
    aside = runner.state.with_name("run-1.run")
    assert aside.exists()
    assert runner.state.with_name("run-1.json").exists()
    assert "RuntimeError: a bug" in told
    assert "(7 requests) are in" in told
    assert str(aside) in told
    assert runner.notices() == [], "told once"


@pytest.mark.parametrize(
    "leave",
    [
        lambda runner: runner.leave_journal(),
        lambda runner: runner.leave_journal(age_s=1e6),
        lambda runner: runner.leave_journal(run_id="../../etc/passwd"),
        lambda runner: runner.state.write_bytes(b"something else"),
        lambda runner: runner.state.write_bytes(b"obswarm run 1\n"),
        lambda runner: runner.state.mkdir(),
        lambda runner: (runner.state.mkdir(), (runner.state / "file").touch()),
    ],
    ids=["a run", "an old run", "an odd run", "another file", "an older version's", "a folder", "a folder with files"],
)
@pytest.mark.parametrize("when", ["before the service", "before the run"])
def test_whatever_lies_where_the_state_belongs_it_is_put_aside_and_the_run_runs(
    runner: Runner, leave: Callable[[Runner], object], when: str
) -> None:
    if when == "before the service":
        leave(runner)
        assert runner.run(never) is Stopped
        runner.ask()
    else:
        runner.ask()
        leave(runner)
    begun: list[Recovered | None] = []

    def conduct(session: FakeSession) -> tuple[Any, int]:
        begun.append(session.recover(session.config, "d"))
        assert not runner.state.exists()
        raise ObswarmError("no matter")

    runner.run(conduct)
    assert begun == [None], "a run of its own, not the one that lies there"
    assert [text for text in runner.told if " are in " in text]
    assert len([path for path in runner.state.parent.iterdir() if path.suffix == ".run"]) == 1


def test_a_run_that_was_begun_before_is_gone_on_with(runner: Runner) -> None:
    runner.ask(begun=1)
    runner.leave_journal()
    found: list[Recovered | None] = []

    def conduct(session: FakeSession) -> tuple[Any, int]:
        found.append(session.recover(session.config, "d"))
        raise ObswarmError("no matter")

    runner.run(conduct)
    assert found[0] is not None
    assert found[0].run_id == "run-1"


@pytest.mark.parametrize(("digest", "age_s"), [("another", 1.0), ("d", 1e6)])
def test_a_run_that_cannot_be_gone_on_with_is_over_and_not_begun_again(
    runner: Runner, digest: str, age_s: float
) -> None:
    runner.ask(begun=1)
    runner.leave_journal(digest, age_s)

    def conduct(session: FakeSession) -> tuple[Any, int]:
        session.recover(session.config, "d")
        raise AssertionError("begun")

    runner.run(conduct)
    ((result, code, _),) = runner.ends
    assert (result.final.total.requests, code) == (7, 4)
    assert "run-1" in runner.notices()[0]


def test_a_run_that_ends_its_process_each_time_is_given_up(runner: Runner) -> None:
    runner.ask(begun=MOST_STARTS - 1)
    runner.run(raising(ObswarmError("no matter")))
    runner.ask(begun=MOST_STARTS)
    runner.leave_journal()
    assert runner.run(never) is BecomesNew
    result, code, text = runner.ends[-1]
    assert (result.final.total.requests, code) == (7, 4)
    assert text == "The run has crashed its master's process 5 times; it is not started again."


def test_a_run_that_was_ending_already_is_begun_again_less_often(runner: Runner) -> None:
    runner.ask(begun=1)
    runner.leave_journal(stopping=["time", "the planned time is over"])
    begun: list[int] = []

    def die(*_: Any) -> tuple[Any, int]:
        begun.append(runner.pending.read()[1])
        raise BecomesNew

    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(PendingRun, "forget", lambda pending: None)
        while not runner.ends:
            assert len(begun) < MOST_STARTS
            runner.run(die)
    assert begun == [3, 5]


def test_time_that_the_end_of_a_run_takes_is_no_progress() -> None:
    states = {state: module.goes_well(state, 61.0) for state in RunState}
    assert [state for state, well in states.items() if well] == ["ready", "spawning", "running", "holding"]
    assert not module.goes_well(RunState.RUNNING, 59.0)


@pytest.mark.parametrize("source", ["seen", "in the journal"])
def test_whatever_may_be_missing_of_a_run_that_crashed_is_named(runner: Runner, source: str) -> None:
    runner.ask()

    def conduct(session: FakeSession) -> tuple[Any, int]:
        if source == "in the journal":
            runner.leave_journal(age_s=2.0, workers={"gone": "gone", "here": "ready", "away": "missing"})
        return raising(RuntimeError("a bug"), 9 if source == "seen" else 0)(session)

    runner.run(conduct)
    ((result, code, _),) = runner.ends
    assert code == 4
    assert {loss.worker for loss in result.losses} == ({"all workers"} if source == "seen" else {"here", "away"})
    assert {loss.users for loss in result.losses} == {4}
    assert all(loss.detail == "it crashed on its master" for loss in result.losses)
    if source != "seen":
        assert all(2.5 <= loss.unreported_s < 10 for loss in result.losses)
    assert code == exit_code_of(result, 1)


@pytest.mark.parametrize("content", [b"", b"\x80", b"nonsense"])
def test_an_order_that_cannot_be_read_is_dropped_and_told(runner: Runner, content: bytes) -> None:
    runner.ask()
    (runner.pending.folder / "order.msgpack").write_bytes(content)
    assert runner.run(never) is Stopped
    assert "cannot be read from" in runner.notices()[0]
    assert runner.pending.read() == (None, 0)


def test_a_run_that_had_ended_is_not_made_again_for_a_client_without_its_result(runner: Runner) -> None:
    runner.ask()

    def end(session: FakeSession) -> tuple[Any, int]:
        seen = PartialResult()
        seen.snapshot(snapshot(9))
        result = seen.result("over")
        assert result is not None
        for output in session.outputs:
            output.finish(result)
        raise BecomesNew

    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(PendingRun, "forget", lambda pending: None)
        runner.run(end)
    runner.leave_journal()
    runner.run(never)
    result, code, _ = runner.ends[-1]
    assert (result.run_id, result.final.total.requests, code) == ("run-2", 9, 4)
    assert runner.pending.read() == (None, 0)
    assert runner.notices() == []
    assert not runner.state.exists()


def test_a_result_that_nobody_fetches_is_written_and_told(runner: Runner) -> None:
    runner.ask()
    runner.fetched = False
    runner.run(raising(RuntimeError("a bug"), seen=9))
    (text,) = runner.notices()
    assert "without a client. Its measurements of 10s (9 requests) are in" in text
    assert runner.state.with_name("run-2.json").exists()


def test_a_secret_that_cannot_be_read_is_said_before_a_process_is_started_and_ends_no_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{master.callback.__module__}.supervise", lambda: pytest.fail("a child process"))
    monkeypatch.setattr(f"{master.callback.__module__}.ends_as_meant", lambda: pytest.fail("the end of the service"))
    with pytest.raises(ObswarmError, match="--secret-file nothing cannot be read"):
        master.main(["--serve", "--secret-file", "nothing"], standalone_mode=False)


def test_a_port_for_workers_that_is_taken_is_said_before_anything_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "set_up_logging", lambda *_: None)
    monkeypatch.setattr(idle_workers, "_BIND_TRIES", 1)
    caplog.set_level("INFO")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = [
            "--serve",
            "--state",
            str(tmp_path / "master.run"),
            "--web-port",
            "0",
            "--bind",
            f"127.0.0.1:{port}",
        ]
        ctx = master.make_context("master", arguments)
        with pytest.raises(ObswarmError, match="is in use"):
            Service(config_of(ctx), lambda config: None, None).run()  # type: ignore[arg-type,return-value]
    assert "Waiting for runs" not in caplog.text


OWN = {
    "prometheus-url": "http://own",
    "prometheus-token": "own-token",
    "prometheus-header": "X-Scope-OrgID: own-tenant",
    "remote-write": "http://own",
    "remote-write-token": "own-write-token",
    "grafana-url": "http://own",
    "grafana-token": "own-grafana-token",
}
LET_IN = ("prometheus_token", "prometheus_headers", "remote_write_token", "grafana_token")
TENANT = ("X-Scope-OrgID: own-tenant",)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, ("own-token", TENANT, "own-write-token", "own-grafana-token")),
        ({"prometheus_url": "http://other"}, (None, (), "own-write-token", "own-grafana-token")),
        (
            {"prometheus_url": "http://other", "prometheus_token": "theirs"},
            ("theirs", (), "own-write-token", "own-grafana-token"),
        ),
        (
            {"prometheus_url": "http://other", "prometheus_token_file": "theirs"},
            (None, (), "own-write-token", "own-grafana-token"),
        ),
        ({"prometheus_proxy": "http://other"}, (None, (), "own-write-token", "own-grafana-token")),
        ({"remote_write": "http://other"}, ("own-token", TENANT, None, "own-grafana-token")),
        ({"grafana_url": "http://other"}, ("own-token", TENANT, "own-write-token", None)),
        ({"grafana_token": "theirs"}, ("own-token", TENANT, "own-write-token", "theirs")),
        # Of those that exclude one another, the client's.
        ({"prometheus_auth": "me:word"}, (None, TENANT, "own-write-token", "own-grafana-token")),
    ],
)
@pytest.mark.parametrize("source", ["options", "environment", "environment without addresses"])
def test_its_own_credentials_are_not_for_addresses_that_a_client_names(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str], left: tuple[object, ...], source: str
) -> None:
    own = []
    for name, value in OWN.items():
        if source == "options":
            own += [f"--{name}", value]
        elif source == "environment" or value != "http://own":
            monkeypatch.setenv(f"OBSWARM_{name.replace('-', '_').upper()}", value)
    config = runner.config_of_run(given, *own)
    if source != "environment without addresses":
        assert tuple(config.value(name) for name in LET_IN) == left
    else:
        asked = [given.get(name) or (() if name.endswith("s") else None) for name in LET_IN]
        assert [config.value(name) for name in LET_IN] == asked


@pytest.mark.parametrize(
    ("variables", "given", "name", "value"),
    [
        ({"STAGES": "10s:1"}, {"users": 3}, "stages", None),
        ({"USERS": "3"}, {"stages": ((10.0, 1),)}, "users", None),
        ({"RESET_STATS": "1"}, {"reset_stats": False}, "reset_stats", False),
        ({"EARLIER_ALERTS": "wait", "EARLIER_ALERTS_MAX_WAIT": "3s"}, {}, "earlier_alerts_max_wait", 3.0),
        (
            {"EARLIER_ALERTS": "wait", "EARLIER_ALERTS_MAX_WAIT": "3s"},
            {"earlier_alerts": "note"},
            "earlier_alerts_max_wait",
            300.0,
        ),
        ({"GRAFANA_URL": "http://own"}, {}, "grafana_url", None),
    ],
)
def test_what_the_environment_of_a_service_says_gives_way_to_its_clients_and_refuses_no_run(
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str],
    given: Mapping[str, Any],
    name: str,
    value: object,
) -> None:
    for variable, text in variables.items():
        monkeypatch.setenv(f"OBSWARM_{variable}", text)
    assert runner.config_of_run(given).value(name) == value


def test_options_of_a_service_that_no_run_can_use_are_named_at_its_start(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OBSWARM_REMOTE_WRITE_TOKEN", "own-token")
    runner.ask()
    runner.run(raising(ObswarmError("enough")), "--prometheus-url", "http://own", "--prometheus-token", "own-token")
    told = [record.getMessage() for record in caplog.records if "is not used" in record.getMessage()]
    assert told == ["OBSWARM_REMOTE_WRITE_TOKEN is not used: --remote-write is not given."]


@pytest.mark.parametrize(
    ("given", "targets"),
    [({}, ("node=http://own:1/",)), ({"targets": ("redis=http://a:1/", "mysql=http://b:1/")}, None)],
)
@pytest.mark.parametrize("from_environment", [False, True])
def test_the_targets_of_a_run_take_the_place_of_the_services_own(
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    given: Mapping[str, tuple[str, ...]],
    targets: tuple[str, ...] | None,
    from_environment: bool,
) -> None:
    if from_environment:
        monkeypatch.setenv("OBSWARM_TARGET", "node=http://own:1/")
        config = runner.config_of_run(given)
    else:
        config = runner.config_of_run(given, "--target", "node=http://own:1/")
    assert config.targets.targets == (targets or given["targets"])


def test_what_was_refused_of_alerts_while_nothing_ran_is_the_next_runs(runner: Runner) -> None:
    refused = (Refusal(RefusalReason.TOO_MANY, "A: no room", 2_000), Refusal(RefusalReason.TOKEN, "no token"))
    alert = Alert("f", AlertStatus.FIRING, {"alertname": "A"}, "", 1000.0, "alertmanager")
    runner.state.with_suffix(".alerts").write_bytes(encode_delivery(Delivery((alert,), refused)))
    runner.ask()
    runner.run(raising(RuntimeError()))
    (delivery,) = runner.evaluator.delivered
    assert (delivery.alerts, set(delivery.refused)) == ((alert,), set(refused))
