"""A service's process is started again whatever ended it, and its parent ends with it when that was meant."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import HANG_S, wait_until

PROGRAM = """
import os, sys, time
from pathlib import Path
from obswarm.api import ObswarmError
from obswarm.app.service_process import ends_as_meant, supervise

folder = Path(sys.argv[1])
code = supervise()
if code is not None:
    sys.exit(code)
(folder / str(os.getpid())).touch()
number = len(list(folder.iterdir()))
"""


def start(tmp_path: Path, body: str) -> "subprocess.Popen[str]":
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + body)
    (tmp_path / "started").mkdir()
    return subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "started")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_children(tmp_path: Path, count: int) -> list[int]:
    def started() -> list[int]:
        return sorted(int(path.name) for path in (tmp_path / "started").iterdir())

    wait_until(lambda: len(started()) >= count)
    return started()


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.parametrize("crash", ["os._exit(0)", "os.kill(os.getpid(), 9)", "raise SystemExit(0)"])
def test_a_service_process_is_restarted_unless_its_end_is_meant(tmp_path: Path, crash: str) -> None:
    body = f"with ends_as_meant():\n    if number < 3:\n        {crash}\nsys.exit(7)\n"
    process = start(tmp_path, body)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 7, err
    assert len(list((tmp_path / "started").iterdir())) == 3
    assert err.count("ended unexpectedly") == 2


def test_a_sentence_about_what_is_wrong_ends_it(tmp_path: Path) -> None:
    process = start(tmp_path, "with ends_as_meant():\n    raise ObswarmError('the port is taken')\n")
    process.communicate(timeout=HANG_S)
    assert process.returncode == 1
    assert len(list((tmp_path / "started").iterdir())) == 1


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_ends_both(tmp_path: Path, kind: signal.Signals) -> None:
    process = start(tmp_path, "with ends_as_meant():\n    time.sleep(600)\n")
    (child,) = wait_for_children(tmp_path, 1)
    process.send_signal(kind)
    process.communicate(timeout=HANG_S)
    assert process.returncode != 0
    assert not Path(f"/proc/{child}").exists()


def test_a_parent_that_is_killed_leaves_no_child(tmp_path: Path) -> None:
    process = start(tmp_path, "with ends_as_meant():\n    time.sleep(600)\n")
    (child,) = wait_for_children(tmp_path, 1)
    process.kill()
    process.communicate(timeout=HANG_S)
    wait_until(lambda: has_ended(child))
