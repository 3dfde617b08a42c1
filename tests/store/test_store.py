"""Runs are found, tagged, noted, removed, sent elsewhere; what is no store is a sentence."""

import sqlite3
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.record import Annotation, LoadTestText, RunMetadata
from obswarm.store import SCHEMA_VERSION, RunWriter, Store, export_run, import_runs, read_run
from obswarm.store.provenance import git_revision
from tests.support.recorded import PAGE, MadeUpRun

IDS = ("20260130-080000-aaaa", "20260131-080000-bbbb", "20260131-090000-cccc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three runs, of the same load test but the last."""
    path = tmp_path / "runs.sqlite"
    for number, run_id in enumerate(IDS):
        text = LoadTestText("shop.py", b"new" if number == 2 else b"old")
        writer = RunWriter(path, RunMetadata("1.0.0", loadtests=[text]))
        run = MadeUpRun([writer], run_id)
        final = run.second({PAGE: [0.01] * (number + 1)})
        writer.finish(final, run.statistics.started_wall_s + 1, {})
        writer.close()
    return path


def found(store: Store, name: str) -> str:
    return store.find(name).run_id


def test_a_run_is_found_by_its_id_the_beginning_of_it_a_tag_or_as_the_latest(path: Path) -> None:
    with Store(path) as store:
        assert [run.run_id for run in store.runs()] == [*reversed(IDS)]
        assert found(store, IDS[0]) == IDS[0]
        assert found(store, "20260130") == IDS[0]
        assert found(store, "latest") == IDS[2]
        store.tag(store.find(IDS[1]), ["baseline", "v1.2"])
        assert found(store, "baseline") == IDS[1]
        assert [run.run_id for run in store.runs(tag="v1.2")] == [IDS[1]]
        store.untag(store.find(IDS[1]), ["baseline"])
        assert store.find(IDS[1]).tags == ("v1.2",)
        store.note(store.find(IDS[1]), "after the index")
        assert store.find(IDS[1]).note == "after the index"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("20260131", r"'20260131' matches 2 runs: 20260131-090000-cccc, 20260131-080000-bbbb\."),
        ("nonsense", r"There is no run 'nonsense' in .*runs\.sqlite\. `obswarm runs list` lists"),
        ("", r"There is no run ''"),
    ],
)
def test_what_is_no_run_or_several_is_a_sentence(path: Path, name: str, text: str) -> None:
    with Store(path) as store, pytest.raises(ObswarmError, match=text):
        store.find(name)


@pytest.mark.parametrize("tag", ["", "two words", "x" * 65, "-x"])
def test_what_cannot_be_a_tag_is_a_sentence(path: Path, tag: str) -> None:
    with Store(path) as store, pytest.raises(ObswarmError, match="is not a valid tag"):
        store.tag(store.find("latest"), ["fine", tag])
    with Store(path) as store:
        assert store.find("latest").tags == ()


def test_removing_a_run_leaves_nothing_of_it(path: Path) -> None:
    with Store(path) as store:
        store.tag(store.find(IDS[2]), ["x"])
        store.remove([store.find(IDS[2])])
    with sqlite3.connect(path) as connection:
        for table in ("runs", "seconds", "names", "run_loadtests"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 2, table
        assert connection.execute("SELECT count(*) FROM loadtests").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM tags").fetchone() == (0,)
    connection.close()


def test_a_run_goes_to_a_file_and_into_another_store(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "sent.obswarm"
    with Store(path) as store:
        store.tag(store.find(IDS[1]), ["x"])
        export_run(store, store.find(IDS[1]), file)
        before = read_run(store, store.find(IDS[1]))
        with pytest.raises(ObswarmError, match=r"is in .* already; nothing of"):
            import_runs(store, file)
    assert sorted(each.name for each in tmp_path.iterdir() if "sent" in each.name) == ["sent.obswarm"]
    with Store(tmp_path / "other" / "runs.sqlite") as other:
        (run,) = import_runs(other, file)
        assert (run.run_id, run.tags) == (IDS[1], ("x",))
        after = read_run(other, run)
        assert other.loadtests(run)[0].text == b"old"
    assert after.total().duration == before.total().duration
    assert len(after.intervals) == 1


def test_a_file_that_is_no_run_is_a_sentence(path: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 100)
    with Store(path) as store:
        with pytest.raises(ObswarmError, match="is damaged"):
            import_runs(store, tmp_path / "text")
        with pytest.raises(ObswarmError, match="is not a file that"):
            import_runs(store, tmp_path / "missing")


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "", "a\nb", "[red]"])
def test_a_run_whose_id_could_be_another_file_is_not_taken_over(path: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "sent.obswarm"
    with Store(path) as store:
        export_run(store, store.find(IDS[1]), file)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE runs SET run_id = ?", [name])
        connection.close()
        before = len(store.runs())
        with pytest.raises(ObswarmError, match="with an invalid id, .*; nothing was imported"):
            import_runs(store, file)
        assert len(store.runs()) == before


def test_annotations_of_a_store_and_of_a_file_of_earlier_versions_are_read(path: Path, tmp_path: Path) -> None:
    exported = tmp_path / "sent.obswarm"
    with Store(path) as store:
        export_run(store, store.find(IDS[1]), exported)
    for file in (path, exported):
        with sqlite3.connect(file) as connection:
            connection.execute("ALTER TABLE runs DROP COLUMN custom")
            connection.execute("ALTER TABLE annotations RENAME TO marks")
            connection.execute("INSERT INTO marks SELECT id, 7, 12.5, 'guard', 'It tripped.' FROM runs")
            connection.execute("PRAGMA user_version = 3")
        connection.close()
    with Store(path) as store, Store(tmp_path / "other" / "runs.sqlite") as other:
        assert store.annotations(store.find(IDS[0]))[-1] == Annotation(12.5, "guard", "It tripped.")
        (run,) = import_runs(other, exported)
        assert other.annotations(run) == store.annotations(store.find(IDS[1]))
        store.remove([store.find(IDS[0])])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(DISTINCT run) FROM annotations").fetchone() == (len(IDS) - 1,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_a_store_of_a_newer_version_is_a_sentence(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(
        ObswarmError, match=r"written by a newer version of obswarm .* Update obswarm, or select another"
    ):
        Store(path)


def test_a_damaged_store_is_a_sentence(path: Path) -> None:
    content = bytearray(path.read_bytes())
    path.with_name("runs.sqlite-wal").unlink(missing_ok=True)
    path.write_bytes(bytes(content[:512]) + b"\xff" * (len(content) - 512))
    with pytest.raises(ObswarmError, match="is damaged"), Store(path) as store:
        store.runs()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ObswarmError, match="The run store .*: (Not a directory|File exists)"):
        Store(tmp_path / "file" / "runs.sqlite")


def test_the_revision_is_that_of_the_repository_if_there_is_one(tmp_path: Path) -> None:
    assert git_revision(tmp_path) is None or (tmp_path / ".git").exists()
