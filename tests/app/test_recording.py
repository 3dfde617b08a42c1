"""Recording a run in the store: what is kept of the configuration, samples of targets, reports, old runs."""

import errno
import logging
import math
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm import clock
from obswarm.api import ObswarmError, OptionValues
from obswarm.app import recording as module
from obswarm.app.recording import (
    Recording,
    configuration_of,
    forget_old_runs,
    open_store,
    recording_of,
    report_of,
)
from obswarm.app.report_file import ReportFile, write_page
from obswarm.config import SETTINGS, FileConfig, Origin, RunConfig, Source
from obswarm.engine import Outputs, RunResult
from obswarm.record import Annotation, AnnotationKind, MetricKey, RunInfo, RunMetadata, RunRecord, Snapshot
from obswarm.store import FILE, RunWriter, Store, read_run
from obswarm.targets import Sample, SourceError, Target
from tests.support.fake_time import FakeTime
from tests.support.recorded import PAGE, MadeUpRun, result_of

RUN: Any = SimpleNamespace(run_id="20260131-120000-abcd", stop=None, abort=None)
METADATA = RunMetadata("1.0.0", {"users": 5})


def nothing_required(result: RunResult) -> Sequence[Any]:
    return ()


def config(file: FileConfig | None = None, **given: Any) -> RunConfig:
    origins = {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in given}
    return RunConfig.of(given, origins, file)


def recording(folder: Path, **changed: Any) -> Recording:
    plain: dict[str, Any] = {
        "metadata": METADATA,
        "source": None,
        "file": FileConfig(),
        "reports": (),
        "evaluate": nothing_required,
    }
    return Recording(folder, **plain | changed)


def record_of(folder: Path, name: str = "latest") -> RunRecord:
    with Store(folder / FILE) as store:
        return read_run(store, store.find(name))


def make_run(output: Recording, seconds: int = 2) -> Snapshot:
    """A run of some seconds, to its end, without closing the output."""
    output.start(RUN)
    run = MadeUpRun([output])
    for _ in range(seconds):
        last = run.second({PAGE: [0.01]})
    output.finish(result_of(last))
    return last


# The configuration.
def test_what_was_given_is_kept_and_defaults_are_not() -> None:
    given = config(users=5, run_time=60.0, tags=("read",), headless=True, host=None, csv="")
    assert configuration_of(given, None) == {"headless": True, "run_time": 60.0, "tags": ["read"], "users": 5}


def test_secrets_are_not_kept_and_passwords_in_urls_are_hidden() -> None:
    given = config(prometheus_token="secret-1", alerts_token="secret-2", prometheus_url="http://me:secret-3@host:9090/")
    kept = configuration_of(given, None)
    assert list(kept) == ["prometheus_url"]
    assert "secret" not in repr(kept)


def test_the_load_tests_own_options_are_kept_but_for_its_secrets() -> None:
    custom = OptionValues()
    custom.basket, custom.password, custom.users = 3, "hidden", "of the load test"
    custom.secrets = {"password"}
    assert configuration_of(config(users=5), custom) == {"basket": 3, "users": 5}


def test_values_that_json_does_not_have_are_kept_as_texts() -> None:
    custom = OptionValues()
    custom.secrets = set()
    custom.limit, custom.places, custom.where = math.inf, {1: (1, 2)}, Path("/data")
    kept = configuration_of(config(), custom)
    assert kept == {"limit": "+Inf", "places": {"1": [1, 2]}, "where": "/data"}


def test_the_file_of_config_is_kept_by_its_name() -> None:
    named = FileConfig("night.toml", "night.toml: ", named=True)
    assert configuration_of(config(named), None) == {"config": "night.toml"}
    assert configuration_of(config(replace(named, named=False)), None) == {}


# Setting up.
def test_without_a_store_nothing_is_recorded(tmp_path: Path) -> None:
    assert recording_of(config(no_store=True), [tmp_path / "t.py"], OptionValues(), None, nothing_required) is None


def test_the_store_and_its_report_are_what_the_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "git_revision", lambda folder: f"of {folder.name}")
    file = tmp_path / "shop.py"
    file.write_text("hello")
    custom = OptionValues()
    custom.secrets = set()
    made = recording_of(config(store=str(tmp_path / "kept"), users=3), [file], custom, None, nothing_required)
    assert made is not None
    assert made.reports
    assert not (tmp_path / "kept").exists(), "it is made when the run starts"
    make_run(made)
    made.close()
    with Store(tmp_path / "kept" / FILE) as store:
        info = store.find("latest")
        assert info.configuration["users"] == 3
        assert info.revision == f"of {tmp_path.name}"
        assert [each.text for each in store.loadtests(info)] == [b"hello"]
    without = recording_of(config(store=str(tmp_path / "kept"), no_report=True), [file], custom, None, nothing_required)
    assert without is not None
    assert without.reports == []
    without.close()


def test_a_folder_that_cannot_be_written_is_a_sentence_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(module, "check_writable", refuse)
    with pytest.raises(ObswarmError) as raised:
        recording(tmp_path / "kept")
    assert str(raised.value) == (
        f"--store {tmp_path / 'kept'}: the folder cannot be written: Permission denied. Use another one, or --no-store."
    )


def test_a_store_that_is_none_is_a_sentence_at_once(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("something else")
    with pytest.raises(ObswarmError, match="is damaged"):
        recording(tmp_path)


def test_a_store_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    made = recording(folder)
    make_run(made)
    made.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text().endswith("*\n")
    (folder / ".gitignore").write_text("mine")
    recording(folder).close()
    assert (folder / ".gitignore").read_text() == "mine"


def test_opening_a_store_that_is_not_there_says_where_runs_come_from(tmp_path: Path) -> None:
    with pytest.raises(ObswarmError) as raised:
        open_store(str(tmp_path))
    assert str(raised.value) == (
        f"There are no runs in {tmp_path}: `obswarm run` stores them in .obswarm in the current folder. Use --store for"
        " another folder."
    )
    with open_store(str(tmp_path / "new"), create=True) as store:
        assert store.runs() == []


# The run.
def test_a_run_is_there_with_everything_that_it_told(tmp_path: Path) -> None:
    made = recording(tmp_path)
    made.start(RUN)
    run = MadeUpRun([made])
    run.second({PAGE: [0.01]})
    mark = Annotation(5.0, AnnotationKind.START, "It starts")
    made.annotation(mark)
    last = run.second({PAGE: [0.02]})
    made.finish(replace(result_of(last), annotations=(mark,)))
    made.close()
    record = record_of(tmp_path)
    assert record.info.run_id == last.run_id
    assert record.info.ended_s is not None
    assert [second.total().requests for second in record.intervals] == [1, 1]
    assert [annotation.text for annotation in record.annotations] == ["It starts"]
    assert record.info.result is not None
    assert record.info.result["run_id"] == last.run_id


def test_the_report_is_written_after_the_run_is_stored_and_its_place_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = recording(tmp_path, reports=[ReportFile(tmp_path / FILE, partial(report_of, tmp_path))])
    assert made.reports
    outputs = Outputs([made, made.reports[0]])
    outputs.start(RUN)
    run = MadeUpRun([outputs])
    last = run.second({PAGE: [0.01]})
    outputs.finish(result_of(last))
    outputs.close()
    assert list(outputs.failed) == []
    path = tmp_path / "reports" / f"{last.run_id}.html"
    assert f"Report: {path}" in capsys.readouterr().err
    assert "<html" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ObswarmError, match=r"^The report .*file/report\.html cannot be written: "):
        write_page(tmp_path / "file" / "report.html", "page")


# Samples of the target's metrics.
class Targets:
    """A source whose values the test sets; `error` is raised."""

    def __init__(self) -> None:
        self.values: dict[str, float | None] = {}
        self.error: Exception | None = None
        self.known = [Target("db", "http://db", "mysql")]
        self.asked = 0

    def targets(self) -> list[Target]:
        return self.known

    def metric_values(self, queries: Sequence[str]) -> list[float | None]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return [float(self.asked) if number == 0 else None for number, _ in enumerate(queries)]

    def query(self, query: str) -> list[Sample]:
        """There are no metrics of statements."""
        return []


class Samples:
    """In place of a RunWriter, whose thread has a clock of its own: keeps the samples."""

    def __init__(self, path: Path, about: RunMetadata) -> None:
        self.kept: list[tuple[float, dict[MetricKey, float]]] = []

    def sample(self, time_s: float, values: dict[MetricKey, float]) -> None:
        self.kept.append((time_s, values))

    def snapshot(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    monkeypatch.setattr(module, "RunWriter", Samples)
    return FakeTime(monkeypatch)


@pytest.fixture
def sampled(tmp_path: Path, time: FakeTime) -> Iterator[tuple[Recording, Targets]]:
    source = Targets()
    made = recording(tmp_path, source=source)
    yield made, source
    made.close()


def test_the_metrics_of_targets_are_sampled_each_second_until_the_run_is_over(
    sampled: tuple[Recording, Targets], time: FakeTime
) -> None:
    made, source = sampled
    made.start(RUN)
    began_s = time.wall()
    time.advance(2)
    # One second has no answer, which is a gap.
    source.error = SourceError("no answer")
    time.advance(1)
    source.error = None
    time.advance(1)
    made.close()
    time.advance(5)
    kept = made._open().kept  # type: ignore[attr-defined]
    assert [at - began_s for at, _ in kept] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [list(values.values()) for _, values in kept] == [[1.0], [2.0], [3.0], [], [5.0]]
    ((key, _),) = kept[0][1].items()
    assert (key.target, key.kind) == ("db", "mysql")


def test_a_prometheus_that_does_not_know_its_targets_yet_is_asked_again(
    sampled: tuple[Recording, Targets], time: FakeTime
) -> None:
    made, source = sampled
    source.known = []
    made.start(RUN)
    time.advance(2)
    source.known = [Target("db", "http://db", "mysql")]
    time.advance(1)
    kept = made._open().kept  # type: ignore[attr-defined]
    assert [len(values) for _, values in kept] == [0, 0, 0, 1]


def test_a_source_that_keeps_failing_otherwise_fails_the_output(
    sampled: tuple[Recording, Targets], time: FakeTime
) -> None:
    made, source = sampled
    source.error = ValueError("a fault")
    made.start(RUN)
    run = MadeUpRun([made])
    run.second({PAGE: [0.01]})
    time.advance(60)
    with pytest.raises(ValueError, match="a fault"):
        run.second({PAGE: [0.01]})


# Old runs.
DAY_S = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Five runs that ended, one a day until yesterday, and one that goes on."""
    now = clock.wall()
    for number in range(1, 7):
        writer = RunWriter(tmp_path / FILE, RunMetadata("1.0.0"))
        run = MadeUpRun([], f"run-{number}")
        snapshot = replace(run.second({PAGE: [0.01]}), started_s=now - (6 - number) * DAY_S - 3600)
        writer.snapshot(snapshot)
        if number < 6:
            writer.finish(snapshot, snapshot.started_s + 10, {})
        writer.close()
    with Store(tmp_path / FILE) as made:
        yield made


def left(store: Store) -> list[str]:
    return [run.run_id for run in store.runs()]


def test_runs_beyond_the_number_are_removed_the_oldest_first(store: Store) -> None:
    removed = forget_old_runs(store, 3, None)
    assert sorted(run.run_id for run in removed) == ["run-1", "run-2"]
    assert left(store) == ["run-6", "run-5", "run-4", "run-3"], "what goes on does not count"


def test_runs_that_are_too_old_are_removed(store: Store) -> None:
    forget_old_runs(store, None, 2.5 * DAY_S)
    assert left(store) == ["run-6", "run-5", "run-4"]
    assert forget_old_runs(store, 100, 100 * DAY_S) == []


def test_runs_with_a_tag_or_a_note_stay(store: Store) -> None:
    store.tag(store.find("run-1"), ["baseline"])
    store.note(store.find("run-2"), "before the index")
    forget_old_runs(store, 1, None)
    assert left(store) == ["run-6", "run-5", "run-2", "run-1"]


def test_a_run_that_is_both_is_removed_once(store: Store) -> None:
    removed = forget_old_runs(store, 1, 2.5 * DAY_S)
    assert sorted(run.run_id for run in removed) == ["run-1", "run-2", "run-3", "run-4"]


def test_the_end_of_a_run_removes_old_ones_with_their_reports(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reports = [report_of(tmp_path, store.find(f"run-{number}")) for number in (1, 5)]
    for path in reports:
        write_page(path, "page")
    made = recording(tmp_path, file=FileConfig(keep_runs=2))
    with caplog.at_level(logging.INFO):
        make_run(made)
    made.close()
    assert [path.exists() for path in reports] == [False, True]
    assert "Removed from the store: " in caplog.text
    assert RUN.run_id in left(store)


def test_a_run_is_kept_also_when_old_ones_cannot_be_removed(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Store, runs: Sequence[RunInfo]) -> None:
        raise ObswarmError("The run store is locked.")

    monkeypatch.setattr(Store, "remove", fails)
    made = recording(tmp_path, file=FileConfig(keep_runs=1))
    make_run(made)
    made.close()
    assert "Old runs could not be removed from the store: The run store is locked." in caplog.text
    assert record_of(tmp_path, RUN.run_id).info.ended_s is not None


def test_a_report_without_a_store_needs_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "TemporaryFolder", full)
    custom = OptionValues()
    custom.secrets = frozenset()
    config = RunConfig.of({"no_store": True, "html": str(tmp_path / "a.html")}, {})
    with pytest.raises(ObswarmError, match="--html needs a temporary folder, which cannot be written: No space left"):
        recording_of(config, [Path(__file__)], custom, None, nothing_required)


def test_a_report_of_a_run_that_is_not_in_the_store_says_so(tmp_path: Path) -> None:
    made = recording(tmp_path)
    made._open()
    report = ReportFile(tmp_path / FILE, partial(report_of, tmp_path))
    with pytest.raises(ObswarmError, match=r"^The run is not in the store, from which its report is made\.$"):
        report.finish(result_of(MadeUpRun([]).second({PAGE: [0.1]})))
    made.close()
