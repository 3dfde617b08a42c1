"""What is made is its owner's alone; what somebody made beforehand keeps its rights."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm.cluster import Journal, pack
from obswarm.cluster.master.journal import Progress
from obswarm.config import RunConfig
from obswarm.private_files import check_writable, make_private_folder, tighten, write_private
from obswarm.record import RunMetadata
from obswarm.report import CsvFiles
from obswarm.stats import StatsTable
from obswarm.store import RunWriter, Store
from obswarm.streams import LogFile
from obswarm.web import RunRequest
from tests.support.patience import HANG_S
from tests.support.recorded import PAGE, MadeUpRun


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Of the folder and all in it that others have a right to."""
    found = [folder, *folder.rglob("*")]
    return {str(each): stat.filemode(each.stat().st_mode) for each in found if each.stat().st_mode & 0o077}


def test_files_and_folders_are_made_for_their_owner(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    write_private(tmp_path / "a" / "text", "é")
    files = CsvFiles(str(tmp_path / "a" / "csv" / "run"))
    files.snapshot(MadeUpRun([]).second({PAGE: [0.01]}))
    files.close()
    assert (tmp_path / "a" / "csv" / "run_stats_history.csv").exists()
    assert modes(tmp_path / "a") == {}
    assert (tmp_path / "a" / "text").read_bytes() == "é".encode()
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "a" / "text" / "c")


def test_a_file_that_somebody_made_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("before")
    (tmp_path / "shared").chmod(0o640)
    write_private(tmp_path / "shared", "after")
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640


def test_whether_a_file_can_be_written_is_found_out_without_a_trace(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("before")
    os.utime(there, (1, 1))
    link.symlink_to("else/where")
    os.mkfifo(tmp_path / "pipe")
    for path in (there, tmp_path / "new", tmp_path / "a" / "b" / "new", link, tmp_path / "pipe", Path("/dev/null")):
        check_writable(path)
    assert there.read_text() == "before"
    assert there.stat().st_mtime == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe", "there"]


def test_many_processes_find_out_at_the_same_time(tmp_path: Path) -> None:
    """Each checks, and then writes what has to be there in the end."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from obswarm.private_files import check_writable, make_private_folder, open_private\n"
        "folder, number = Path(sys.argv[1]), sys.argv[2]\n"
        "sys.stdin.read()\n"
        "for each in range(100):\n"
        "    path = folder / str(each) / 'new' / 'file'\n"
        "    check_writable(path)\n"
        "    make_private_folder(path.parent)\n"
        "    check_writable(path)\n"
        "    with open_private(path, 'a') as file:\n"
        "        file.write(number)\n"
    )
    for each in range(100):
        (tmp_path / str(each)).mkdir()
    programs = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path, number], stdin=subprocess.PIPE) for number in "1234"
    ]
    for program_of in programs:
        assert program_of.stdin is not None
        program_of.stdin.close()
    assert [program_of.wait(HANG_S) for program_of in programs] == [0, 0, 0, 0]
    assert {"".join(sorted((tmp_path / str(each) / "new" / "file").read_text())) for each in range(100)} == {"1234"}
    assert {each.name for each in tmp_path.rglob("*") if not each.name.isdecimal()} == {"new", "file"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "Is a directory"),
        ("file/new", "Not a directory|File exists"),
        ("made/then/" + "x" * 300, "File name too long"),
        ("/proc/new", "No such file|Permission denied|Operation not permitted"),
        ("loop", "Too many levels of symbolic links"),
        ("loop/new", "Too many levels of symbolic links"),
    ],
)
def test_a_file_that_cannot_be_written_is_found_out_without_a_trace(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    with pytest.raises(OSError, match=reason):
        check_writable(tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "loop", "pool"]


def test_what_is_tightened_is_neither_a_link_nor_missing(tmp_path: Path) -> None:
    (tmp_path / "else").touch(0o644)
    (tmp_path / "link").symlink_to("else")
    tighten(tmp_path / "link", tmp_path / "none")
    assert stat.S_IMODE((tmp_path / "else").stat().st_mode) == 0o644
    tighten(tmp_path / "else")
    assert stat.S_IMODE((tmp_path / "else").stat().st_mode) == 0o600


def test_a_store_and_the_files_beside_it_are_its_owners(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "new" / "runs.sqlite", RunMetadata("1.0.0"))
    run = MadeUpRun([writer], "20260130-080000-aaaa")
    final = run.second({PAGE: [0.01]})
    writer._is_idle.wait(60)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"runs.sqlite{end}" for end in ("", "-wal", "-shm")}
    assert modes(tmp_path / "new") == {}
    writer.finish(final, run.statistics.started_wall_s + 1, {})
    writer.close()


def test_a_store_of_an_earlier_version_is_tightened_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    Store(path).__exit__()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 0")
    connection.close()
    path.chmod(0o644)
    with Store(path):
        assert [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()] == [0o600] * 3
    path.chmod(0o640)
    Store(path).__exit__()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "somebody wants it so"


def test_the_state_of_a_run_is_its_owners_also_where_an_earlier_version_left_one(tmp_path: Path) -> None:
    path = tmp_path / "state" / "master.run"
    journal = Journal(path, "run", "digest", 0.0)
    assert not path.parent.exists(), "it is made when there is something to keep"
    journal.rewrite(StatsTable(), Progress(0.0, 0.0, 0.0, 0.0, False, {}, None, 0, None, []), {})
    journal.close()
    assert modes(path.parent) == {}
    path.chmod(0o644)
    Journal(path, "run", "digest", 0.0).close()
    assert modes(path.parent) == {}


def test_a_request_for_a_run_is_its_owners(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    packed = pack(tmp_path, [tmp_path / "a.py"])
    config = RunConfig.of({"grafana_token": "PLANTED"}, {})
    RunRequest(config, ["a.py"], False, packed.digest, packed.content).save(tmp_path / "state" / "order")
    # Files of the load test are as they were sent, in a folder that nobody else enters.
    assert [name for name in modes(tmp_path / "state") if not name.endswith("/a.py")] == []


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_token_that_was_made_is_written_to_a_log_that_nobody_else_reads(
    is_shared: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging

    path = tmp_path / "log"
    if is_shared:
        path.touch(0o644)
    file = LogFile(str(path))
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "Alerts are received at %s", ("here",), None)
    record.secret = ", with the bearer token MADE"
    file.handle(record)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == (0o644 if is_shared else 0o600)
    assert ("MADE" in path.read_text(), "token MADE" in capsys.readouterr().err) == (not is_shared, is_shared)
