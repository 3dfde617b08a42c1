"""Folders for temporary files that a process left behind when it was killed are removed by the next one, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from obswarm.cli import main, process
from obswarm.temporary import TemporaryFolder, remove_abandoned

_MAKES_ONE = """
import os, sys
from obswarm.temporary import TemporaryFolder
made = TemporaryFolder("worker")
open(os.path.join(made.name, "secret"), "w").close()
print(made.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_as_long_as_it_is_used(folder: Path) -> None:
    with TemporaryFolder("worker") as made:
        assert Path(made.name).stat().st_mode & 0o777 == 0o700
        remove_abandoned()
        assert Path(made.name).exists()
        made.cleanup()
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_one(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKES_ONE],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        remove_abandoned()
        assert (left / "secret").exists(), "its process lives"
        process.kill()
        process.wait()
        with TemporaryFolder() as made:
            assert [each.name for each in folder.iterdir()] == [Path(made.name).name]


def test_what_is_just_being_made_or_not_ours_stays(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".obswarm-owner").touch()
    (folder / "obswarm-link").symlink_to(elsewhere)
    (folder / "obswarm-of-a-person").mkdir()
    (folder / "obswarm-being-made").mkdir()
    (folder / "obswarm-being-made" / ".obswarm-owner.new").touch()
    (folder / "obswarm-linked-owner").mkdir()
    (folder / "obswarm-linked-owner" / ".obswarm-owner").symlink_to(elsewhere / ".obswarm-owner")
    (folder / "obswarm-file").touch()
    before = sorted(folder.rglob("*"))
    remove_abandoned()
    assert sorted(folder.rglob("*")) == before
    assert (elsewhere / ".obswarm-owner").exists()


def test_any_command_removes_what_a_killed_process_has_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "obswarm-a").mkdir()
    (folder / "obswarm-a" / ".obswarm-owner").touch()
    for name in ("open_standard_streams", "escape_tracebacks"):
        monkeypatch.setattr(process, name, lambda: None)
    monkeypatch.setattr("sys.argv", ["obswarm", "--version"])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 0
    assert list(folder.iterdir()) == []


def test_a_folder_of_another_user_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "obswarm-a").mkdir()
    (folder / "obswarm-a" / ".obswarm-owner").touch()
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    remove_abandoned()
    assert (folder / "obswarm-a").exists()


def test_a_fork_does_not_take_the_folder_along(folder: Path) -> None:
    made = TemporaryFolder()
    child = os.fork()
    if child == 0:
        made.cleanup()
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(made.name).exists()
    made.cleanup()


def test_without_locks_there_is_a_folder_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("fcntl.flock", fail)
    with TemporaryFolder() as made:
        remove_abandoned()
        assert Path(made.name).exists()
    assert list(folder.iterdir()) == []
