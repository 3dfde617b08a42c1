"""From a configuration to a run: what generator it has, what workers are sent, secrets, and a run that was left."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm import clock
from obswarm.api import Environment, Events, ObswarmError, User, new_option_values, task
from obswarm.app import build as module
from obswarm.app import planning, unfinished
from obswarm.app.build import (
    WORKER_COMMAND,
    build_local_run,
    build_master_run,
    build_run,
    check_config,
    keys_of,
)
from obswarm.app.guards_setup import simple_guards
from obswarm.app.planning import build_plan
from obswarm.app.session import RunSession
from obswarm.app.unfinished import recover_run
from obswarm.cluster import Job, derive_keys
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.engine import LocalGenerator, Output, Outputs, Ramp, Run, StagesSchedule
from obswarm.guards import Guard
from obswarm.stats import Recorder

_LOADTEST = """
from obswarm import User, constant, task

class Visitor(User):
    host = "http://shop.example"
    wait_time = constant(60)

    @task
    def nothing(self):
        pass

class Buyer(Visitor):
    pass
"""


class Display:
    progress: Sequence[Output] = ()

    def closing(self, evaluate: Any) -> Sequence[Output]:
        return ()

    def finished(self, result: Any) -> None: ...


def display(config: RunConfig) -> Display:
    return Display()


class MadeGenerator(LocalGenerator):
    """In place of a FleetGenerator: keeps what it is made with, and listens nowhere."""

    made: list["MadeGenerator"]

    def __init__(self, environment: Environment, spec: Any, **options: Any) -> None:
        super().__init__(environment)
        self.spec, self.options = spec, options
        MadeGenerator.made.append(self)

    @property
    def job(self) -> Job:
        return Job.unpack(self.spec.job)


class Writer:
    """In place of a Journal."""

    made: list["Writer"]

    def __init__(self, path: Path, run_id: str, digest: str, started_s: float, **options: Any) -> None:
        self.path, self.run_id, self.digest, self.started_s, self.options = path, run_id, digest, started_s, options
        Writer.made.append(self)


Build = Callable[..., Run]


@pytest.fixture
def config(tmp_path: Path, loadtest: Any, monkeypatch: pytest.MonkeyPatch, own_imports: None) -> Any:
    """Configurations of a load test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planning, "events", Events())
    MadeGenerator.made, Writer.made = [], []
    monkeypatch.setattr(module, "FleetGenerator", MadeGenerator)
    monkeypatch.setattr(module, "FleetJournal", lambda journal, generator: SimpleNamespace(journal=journal))
    monkeypatch.setattr(module, "Journal", Writer)
    loadtest(_LOADTEST, "shop_test.py")

    def make(**given: Any) -> RunConfig:
        given = {"arguments": ("shop_test.py",), "no_store": True, "web_port": 0, **given}
        return RunConfig.of(given, {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in given})

    return make


def run_of(session: RunSession) -> Run:
    """The run that the session would execute."""
    return session._make_run(Outputs())


def built(given: RunConfig) -> RunSession:
    return build_run(given, build_plan(given), display)


# In this process, or processes of this machine.
def test_without_workers_the_users_are_in_this_process(config: Any) -> None:
    run = run_of(built(config(workers=0, users=4, run_time=60.0)))
    assert type(run._generator) is LocalGenerator
    assert MadeGenerator.made == []
    assert run.statistics.planned_s == 60.0
    assert run.latest().test == "shop_test.py"


def test_processes_of_this_machine_read_the_files_where_they_are(config: Any, tmp_path: Path) -> None:
    given = config(workers=3, tags=(), host="http://other.example", stop_timeout=2.0, max_endpoints=50, timings=True)
    run_of(built(given))
    (generator,) = MadeGenerator.made
    local = generator.options["local"]
    assert (local.command, local.count) == (WORKER_COMMAND, 3)
    job = generator.job
    assert job.files == (str(tmp_path / "shop_test.py"),)
    assert (job.root, job.user_classes) == (str(tmp_path), ("Visitor", "Buyer"))
    load = job.config.load
    assert (load.host, load.stop_timeout, load.max_endpoints, load.timings) == ("http://other.example", 2.0, 50, True)
    assert load.trace_sample is None
    assert (generator.spec.bundle, generator.options["max_endpoints"]) == (None, 50)
    assert generator.options["by_capacity"]


def test_as_many_processes_as_are_needed_begin_with_none_given(config: Any) -> None:
    run_of(built(config(balance="equal", trace_sample=0.5, loglevel="debug")))
    (generator,) = MadeGenerator.made
    assert generator.options["local"].count is None
    assert not generator.options["by_capacity"]
    job_config = generator.job.config
    assert (job_config.load.trace_sample, job_config.outputs.loglevel) == (0.5, "debug")


def test_a_run_of_imported_classes_needs_no_files(tmp_path: Path) -> None:
    class Visitor(User):
        @task
        def nothing(self) -> None: ...

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    own = Output()
    session = build_local_run(
        RunConfig(), "demo", environment, Ramp(1, 1), simple_guards([Guard("p95 > 1s")]), Display(), [own]
    )
    run = run_of(session)
    assert run.latest().test == "demo"
    assert own in session._outputs


# A master.
def test_workers_elsewhere_are_sent_the_files(config: Any, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    given = config(
        bind=("127.0.0.1", 6001),
        expect_workers=2,
        expect_workers_max_wait=30.0,
        orphan_timeout=20.0,
        bundled=("data.csv",),
    )
    run = run_of(build_master_run(given, display))
    (generator,) = MadeGenerator.made
    assert generator.options["endpoint"] == "tcp://127.0.0.1:6001"
    assert generator.options["keys"] is None
    expect = generator.options["expect"]
    assert (expect.workers, expect.longest_s, expect.fewer_do) == (2, 30.0, False)
    assert generator.spec.orphan_timeout_s == 20.0
    assert set(generator.spec.bundle.files) == {"shop_test.py", "data.csv"}
    assert (generator.job.files, generator.job.root) == (("shop_test.py",), "")
    assert generator.spec.file_hash
    (journal,) = Writer.made
    assert journal.path == Path(".obswarm/master-6001.run")
    options = {"test": "shop_test.py", "host": "http://shop.example", "may_fail": True, "queried_rates": {}}
    assert journal.options == options
    assert run.run_id == journal.run_id == generator.spec.run_id


def test_a_file_for_the_state_that_somebody_has_named_must_not_fail(config: Any, tmp_path: Path) -> None:
    build_master_run(config(state_file=str(tmp_path / "mine.run")), display)
    assert Writer.made[0].options["may_fail"] is False
    build_master_run(config(state_file=str(tmp_path / "mine.run"), serve=True), display)
    assert Writer.made[1].options["may_fail"] is True


def test_another_load_test_or_other_options_have_another_digest(config: Any, loadtest: Any) -> None:
    def digest(**given: Any) -> str:
        build_master_run(config(**given), display)
        return Writer.made[-1].digest

    first = digest()
    assert digest() == first
    assert digest(stop_timeout=9.0) != first
    loadtest(_LOADTEST + "\n# changed\n", "shop_test.py")
    assert digest() != first


def test_a_run_that_is_gone_on_with_keeps_its_id_and_does_not_wait_for_alerts(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = SimpleNamespace(run_id="left", started_wall_s=123.0)
    monkeypatch.setattr(module, "recover_run", lambda config, digest: recovered)
    monkeypatch.setattr(module, "_run", lambda *_, **options: options)
    session = build_master_run(config(earlier_alerts="wait"), display)
    options: Any = run_of(session)
    assert (options["run_id"], options["earlier"]) == ("left", recovered)
    assert MadeGenerator.made[0].options["recovered"] is recovered
    assert Writer.made[0].started_s == 123.0
    assert session._goes_on, "so that its start waits for no alerts"


def test_stages_of_the_command_line_are_the_load(config: Any) -> None:
    run = run_of(built(config(workers=0, stages=((10.0, 5), (5.0, 0)))))
    assert isinstance(run._driver.executor.schedule, StagesSchedule)
    assert run.statistics.planned_s == 15.0


# What is checked without running.
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stop_when": ("p95 >",)}, "--stop-when"),
        ({"labels": ("nonsense",)}, "--label"),
        ({"output": ("snik",)}, "--output snik"),
        ({"csv_full_history": True}, "--csv-full-history needs --csv PREFIX"),
        ({"remote_write": "nonsense"}, "--remote-write"),
    ],
)
def test_a_configuration_that_run_refuses_is_refused_without_a_load_test(
    config: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ObswarmError, match=said):
        check_config(config(arguments=("there_is_none.py",), **given))
    check_config(config(arguments=("there_is_none.py",)))


def test_exporters_of_a_run_that_a_master_makes_are_that_masters(config: Any) -> None:
    check_config(config(master="http://master:8089", labels=("nonsense",)))


# Secrets.
SECRET = "a secret of the cluster"


def test_the_keys_follow_from_the_secret(config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    assert keys_of(config(secret_file=str(file))) == derive_keys(SECRET.encode())
    assert capsys.readouterr().err == ""
    file.chmod(0o644)
    assert keys_of(config(secret_file=str(file))) is not None
    assert "Warning: Others can read the secret file" in capsys.readouterr().err


def test_a_master_that_others_reach_needs_a_secret_or_a_word(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OBSWARM_SECRET", raising=False)
    assert keys_of(config(bind=("127.0.0.1", 5557))) is None
    assert keys_of(config(bind=("0.0.0.0", 5557), insecure=True)) is None
    with pytest.raises(
        ObswarmError, match=r"^--bind 0\.0\.0\.0 can be reached by other machines, and there is no secret"
    ):
        keys_of(config(bind=("0.0.0.0", 5557)))
    monkeypatch.setenv("OBSWARM_SECRET", SECRET)
    assert keys_of(config(bind=("0.0.0.0", 5557))) == derive_keys(SECRET.encode())


# A run that was left.
class Left:
    """What lies where the state belongs."""

    def __init__(self, age_s: float = 3.0, digest: str = "digest") -> None:
        self.run_id = "left"
        self.digest = digest
        self.progress = SimpleNamespace(at_wall_s=clock.wall() - age_s)


@pytest.fixture
def left(config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Recovers what lies there, and tells what was put aside."""
    state = tmp_path / "master.run"
    aside: list[Path] = []

    def put_aside(path: Path, max_endpoints: int) -> str:
        aside.append(path)
        return "The run left did not end properly."

    def recover(found: Any, fresh: bool = False) -> tuple[Any, int]:
        def read(path: Path, max_endpoints: int) -> Any:
            if isinstance(found, ObswarmError):
                raise found
            return found

        aside.clear()
        monkeypatch.setattr(unfinished, "read_journal", read)
        return recover_run(config(state_file=str(state), fresh=fresh), "digest"), len(aside)

    monkeypatch.setattr(unfinished, "put_aside", put_aside)
    return recover


def test_a_run_that_was_left_a_moment_ago_is_gone_on_with(left: Any) -> None:
    found = Left()
    assert left(found) == (found, 0)
    assert left(None) == (None, 0)


def test_a_run_whose_workers_have_given_up_is_put_aside(left: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert left(Left(age_s=1e6)) == (None, 1)
    assert "Warning: The run left did not end properly." in capsys.readouterr().err


def test_a_run_of_another_load_test_is_not_gone_on_with_by_accident(left: Any) -> None:
    with pytest.raises(ObswarmError) as raised:
        left(Left(digest="another"))
    assert str(raised.value).startswith("The run left was left 3s ago by a master with another load test or other")
    assert str(raised.value).endswith(
        "Use the same load test and options to continue it, or --fresh to start a new run."
    )


@pytest.mark.parametrize("found", [Left(), Left(digest="another"), ObswarmError("cannot be read"), None])
def test_fresh_begins_anew_and_keeps_what_was_there(left: Any, capsys: pytest.CaptureFixture[str], found: Any) -> None:
    assert left(found, fresh=True) == (None, 1)
    assert "Warning: " in capsys.readouterr().err


def test_a_state_that_cannot_be_read_is_an_error_unless_it_is_to_be_fresh(left: Any) -> None:
    with pytest.raises(ObswarmError, match="cannot be read"):
        left(ObswarmError("cannot be read"))


_SHAPE = """
from obswarm import LoadTestShape

class Curve(LoadTestShape):
    use_common_options = {common}

    def tick(self):
        return None
"""


@pytest.mark.parametrize("common", [False, True])
def test_a_shape_is_ended_by_the_run_time_unless_it_reads_that_itself(
    config: Any, loadtest: Any, caplog: pytest.LogCaptureFixture, common: bool
) -> None:
    loadtest(_LOADTEST + _SHAPE.format(common=common), "shop_test.py")
    run = run_of(built(config(workers=0, users=3, run_time=60.0)))
    assert run.statistics.planned_s == (None if common else 60.0)
    said = "The load comes from the shape Curve; --users and --spawn-rate are not used."
    assert (said in caplog.messages) is not common


def test_stages_of_the_file_end_with_the_run_time(config: Any, loadtest: Any) -> None:
    loadtest(_LOADTEST + "\nfrom obswarm import Stages\nclass Peak(Stages):\n    stages = '60s:5'\n", "shop_test.py")
    assert run_of(built(config(workers=0, run_time=20.0))).statistics.planned_s == 20.0


def test_the_parsed_options_have_the_names_of_locust(config: Any) -> None:
    given = config(
        arguments=("shop_test.py", "Buyer"), workers=2, users=4, spawn_rate=2.0, run_time=60.0, tags=("a,b",), csv="out"
    )
    tagged = _LOADTEST.replace("    @task\n", "    @tag('a')\n    @task\n").replace(
        "constant, task", "constant, tag, task"
    )
    Path("shop_test.py").write_text(tagged)
    session = built(given)
    options = session._environment.parsed_options
    values = {name: getattr(options, name) for name in ("num_users", "spawn_rate", "run_time", "tags", "csv_prefix")}
    assert values == {"num_users": 4, "spawn_rate": 2.0, "run_time": 60.0, "tags": ["a", "b"], "csv_prefix": "out"}
    assert (options.user_classes, options.master, options.processes, options.worker) == (["Buyer"], True, 2, False)
    assert set(new_option_values()) <= set(vars(options))
    environment = session._environment
    assert list(environment.available_user_classes or {}) == ["Visitor", "Buyer"]
    assert list(environment.user_classes_by_name) == ["Buyer"]
    run_of(session)
    (generator,) = MadeGenerator.made
    assert generator.job.options["num_users"] == 4
