"""A run that another master makes: what is asked for, under which names, and what its end means here."""

import logging
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import ObswarmError, OptionValues, User
from obswarm.app import client as module
from obswarm.app.client import RemoteRun, remote_target, request_of, run_remotely
from obswarm.app.masters import Master, master_of
from obswarm.cluster import unpack_bundle
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.engine import Output, Outputs, StopReason
from obswarm.http import ApiAccess
from obswarm.record import Snapshot, StopKind
from obswarm.stack import Project
from obswarm.web import MasterError, RunRequest
from obswarm.web.client import End, Log, Submitted
from tests.support.recorded import PAGE, MadeUpRun, result_of

SIGTERM = StopReason(StopKind.SIGNAL, "terminated (SIGTERM)")
MASTER = Master("http://10.0.0.5:8089", "token", "the master at http://10.0.0.5:8089")
STACK = replace(
    MASTER,
    where="the stack shop",
    host_name="host.docker.internal",
    services={18080: "load-balancer:18080"},
    gateway="172.17.0.1",
    workers=2,
)


def config(**given: Any) -> RunConfig:
    """Of a command that names the load test of `plan`."""
    given = {"arguments": ("shop.py",), **given}
    return RunConfig.of(given, {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in given})


def visitor(host: str | None) -> type[User]:
    return type("Visitor", (User,), {"host": host})


def plan(folder: Path, *hosts: str | None) -> Any:
    file = folder / "shop.py"
    file.write_text("# a load test")
    environment = Namespace(user_classes=[visitor(host) for host in hosts], stop_timeout=1.0)
    custom = OptionValues()
    custom.secrets = set()
    return Namespace(
        files=[file],
        loaded=Namespace(opened=[], custom=custom),
        environment=environment,
        loadtest=Namespace(guards=()),
        requirements={},
    )


# What is asked for.
def test_the_files_of_a_load_test_are_sent(tmp_path: Path) -> None:
    request = request_of(config(users=3), plan(tmp_path), MASTER)
    assert (request.mounted, request.files, request.workers) == (False, ["shop.py"], 0)
    unpack_bundle(request.bundle, request.digest, tmp_path / "there")
    assert (tmp_path / "there" / "shop.py").read_text() == "# a load test"
    assert request.config.load.users == 3


def test_files_that_a_stack_has_already_are_only_named(tmp_path: Path) -> None:
    master = replace(STACK, loadtest=tmp_path / "other.py")
    request = request_of(config(), plan(tmp_path), master)
    assert (request.mounted, request.files, request.bundle, request.workers) == (True, ["shop.py"], b"", 2)
    elsewhere = replace(STACK, loadtest=tmp_path / "folder" / "other.py")
    assert not request_of(config(), plan(tmp_path), elsewhere).mounted


@pytest.mark.parametrize(
    ("host", "there"),
    [
        ("http://127.0.0.1:9000", "http://host.docker.internal:9000"),
        ("http://localhost:18080/a", "http://load-balancer:18080/a"),
        ("db:50051", None),
        ("http://shop.example", None),
        ("http://[::1", None),
        (None, None),
    ],
)
def test_a_host_of_this_machine_is_named_as_the_master_reaches_it(
    tmp_path: Path, host: str | None, there: str | None
) -> None:
    assert request_of(config(), plan(tmp_path, host), STACK).config.load.host == there
    assert request_of(config(), plan(tmp_path, host), MASTER).config.load.host is None, "it is not on this machine"


def test_several_hosts_of_which_one_is_this_machine_are_refused_with_what_to_write(tmp_path: Path) -> None:
    both = plan(tmp_path, "http://127.0.0.1:9000", "http://shop.example")
    with pytest.raises(ObswarmError, match=r"Write host\.docker\.internal for this machine in the load-test file\.$"):
        request_of(config(), both, STACK)


@pytest.mark.parametrize("alone", [True, False])
def test_a_service_that_listens_on_the_loopback_alone_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, alone: bool
) -> None:
    monkeypatch.setattr(module, "is_loopback_only", lambda url, gateway: alone)
    with caplog.at_level(logging.INFO):
        request_of(config(), plan(tmp_path, "http://127.0.0.1:9000"), STACK)
    assert "Workers use the host http://host.docker.internal:9000 for http://127.0.0.1:9000." in caplog.text
    assert ("Let it also listen on 172.17.0.1, or use --local." in caplog.text) == alone


def test_a_target_whose_url_makes_no_sense_is_left_to_the_master() -> None:
    assert remote_target("mysql=http://[::1", STACK) == "mysql=http://[::1"


def test_a_stack_is_a_master_that_needs_no_proxy() -> None:
    project = Project(
        "shop",
        workers=3,
        demo=True,
        loadtest="/tests/shop.py",
        gateway="172.17.0.1",
        ports={"contest_load_balancer_http": 1234, "prometheus": 9999, "web": 8000},
        environment={"BASKET": "3"},
        signing_key="key",
    )
    master = master_of(project)
    assert (master.url, master.where, master.is_own) == ("http://127.0.0.1:8000", "the stack shop", True)
    assert (master.loadtest, master.workers) == (Path("/tests/shop.py"), 3)
    assert (master.services, master.prometheus_url) == ({1234: "load-balancer:18080"}, "http://127.0.0.1:9999")
    assert master.environment == {"BASKET": "3", "OBSWARM_SIGNING_KEY": "key"}
    without = master_of(replace(project, demo=False, loadtest=None))
    assert (without.services, without.loadtest, without.environment) == ({}, None, {"BASKET": "3"})


# The run.
class Client:
    """Tells what it is given; notes what it is asked."""

    def __init__(self, *told: Any) -> None:
        self.told = list(told)
        self.requests: list[RunRequest] = []

    def __call__(self, url: str, token: str, trust_env: bool, verify: bool) -> "Client":
        self.made_with = (url, token, trust_env)
        return self

    def submit(self, request: RunRequest) -> Submitted:
        self.requests.append(request)
        return Submitted("number", 2, "20261129-183207-k3v9")

    def events(self, number: str) -> Any:
        yield from self.told


class Shown:
    """A display."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.results: list[Any] = []
        shown = self

        class Progress(Output):
            def snapshot(self, snapshot: Snapshot) -> None:
                shown.snapshots.append(snapshot)

        self.progress: Sequence[Output] = [Progress()]

    def closing(self, evaluate: Any) -> Sequence[Output]:
        return []

    def finished(self, result: Any) -> None:
        self.results.append(result)


SNAPSHOT = MadeUpRun([]).second({PAGE: [0.1]})


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs that a master makes, which tells these things: exit code and display."""

    def run(*told: Any, master: Master = MASTER, **given: Any) -> tuple[int, Shown, Client]:
        client, shown = Client(*told), Shown()
        monkeypatch.setattr(module, "MasterClient", client)
        monkeypatch.setattr(module, "build_plan", lambda config, is_made_here, loaded: plan(tmp_path))
        monkeypatch.setattr("obswarm.app.session._Signals.__enter__", lambda self: self)
        monkeypatch.setattr("obswarm.app.session._Signals.__exit__", lambda self, *_: None)
        given = {"no_store": True, **given}
        return run_remotely(config(**given), master, lambda config: shown)[1], shown, client

    return run


def test_the_result_of_the_master_and_its_exit_code_are_those_of_this_command(
    watched: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        code, shown, client = watched(
            SNAPSHOT, Log(logging.WARNING, "shop", "few apples"), End(result_of(SNAPSHOT), 3, None)
        )
    assert code == 3
    assert shown.snapshots == [SNAPSHOT]
    assert len(shown.results) == 1
    assert ("shop", logging.WARNING, "few apples") in caplog.record_tuples
    assert "The master at http://10.0.0.5:8089 has 2 workers." in caplog.text
    assert "The master at http://10.0.0.5:8089 executes this run." in capsys.readouterr().err
    assert client.made_with == ("http://10.0.0.5:8089", "token", True)


def test_a_stack_of_this_machine_is_asked_without_a_proxy(watched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    master = replace(STACK, is_own=True, how_to_stay=", because it is running; use --local to run in this process")
    _, _, client = watched(End(result_of(SNAPSHOT), 0, None), master=master)
    assert client.made_with[2] is False
    assert (
        "The stack shop executes this run, because it is running; use --local to run in this process."
        in capsys.readouterr().err
    )


def test_an_error_of_the_run_is_said_here(watched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(result_of(SNAPSHOT), error=ObswarmError("There is no class Buyer."))
    assert watched(End(failed, 2, None))[0] == 2
    assert "Error: There is no class Buyer." in capsys.readouterr().err


def test_a_file_that_is_missing_here_makes_a_good_run_incomplete(watched: Any, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert watched(End(result_of(SNAPSHOT), 0, None), json_file=str(path))[0] == 0
    assert path.exists()

    class Failing(Output):
        name = "a file"

        def finish(self, result: Any) -> None:
            raise OSError("full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "outputs_of", lambda *arguments: [Failing()])
        assert watched(End(result_of(SNAPSHOT), 0, None))[0] == 4
        assert watched(End(result_of(SNAPSHOT), 3, None))[0] == 3


def test_guards_are_checked_before_anything_is_asked_for(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ObswarmError, match="--stop-when"):
        watched(stop_when=("p95 >",))


def test_a_run_that_a_master_could_not_make_is_an_error(watched: Any) -> None:
    with pytest.raises(MasterError, match="The master could not execute the run"):
        watched(End(None, 2, None))
    with pytest.raises(MasterError, match="no such module"):
        watched(End(None, 2, "no such module"))


def test_a_second_request_to_stop_does_not_begin_again() -> None:
    stops: list[bool] = []
    client: Any = SimpleNamespace(
        submit=lambda request: Submitted("number", 1, "run"),
        stop=lambda number, reason, abort: stops.append(abort),
        restarts=0,
        give_up_at=lambda time_s: None,
    )
    run = RemoteRun(client, RunRequest(RunConfig(), [], False, "", b""), Outputs([]))
    run.stop(SIGTERM)
    first = run._insisting
    run.stop(SIGTERM)
    assert run._insisting is first
    assert first is not None
    first.kill()
    run.abort(SIGTERM)
    assert stops[-1] is True
    run.close()


# Metrics of the target, read from here.
class Prometheus:
    """A Prometheus that is made up."""

    made: list["Prometheus"]
    fails: ObswarmError | None = None

    def __init__(self, url: str, access: Any = None, trust_env: bool = True) -> None:
        self.url, self.trust_env = url, trust_env
        self.is_closed = False
        Prometheus.made.append(self)

    def start(self) -> None:
        if self.fails is not None:
            raise self.fails

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> type[Prometheus]:
    Prometheus.made = []
    monkeypatch.setattr(module, "PrometheusSource", Prometheus)
    monkeypatch.setattr(Prometheus, "fails", None)
    return Prometheus


def test_the_prometheus_of_a_stack_is_read_without_a_proxy(sources: type[Prometheus]) -> None:
    found: Any = module._source_from_here(config(), replace(STACK, prometheus_url="http://127.0.0.1:9090"))
    assert (found.url, found.trust_env) == ("http://127.0.0.1:9090", False)


def test_the_prometheus_of_the_options_is_read_from_here(sources: type[Prometheus]) -> None:
    found: Any = module._source_from_here(config(prometheus_url="http://prometheus:9090"), MASTER)
    assert found.url == "http://prometheus:9090"
    assert not found.is_closed
    assert module._source_from_here(config(), MASTER) is None


def test_a_prometheus_that_cannot_be_read_from_here_is_no_reason_not_to_run(
    sources: type[Prometheus], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Prometheus, "fails", ObswarmError("there is no /token"))
    assert module._source_from_here(config(prometheus_url="http://prometheus:9090"), MASTER) is None
    assert Prometheus.made[0].is_closed
    assert "The target's metrics are not stored with the run, as this process cannot read them" in caplog.text


def test_a_token_file_that_is_missing_here_is_no_reason_not_to_run(
    sources: type[Prometheus], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(self: ApiAccess, naming: Any) -> None:
        raise ObswarmError("--prometheus-token-file: there is no /token")

    monkeypatch.setattr(ApiAccess, "check_files", missing)
    given = config(prometheus_url="http://prometheus:9090", prometheus_token_file="/token")
    assert module._source_from_here(given, MASTER) is None
    assert "there is no /token" in caplog.text
