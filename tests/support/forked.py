"""obswarm in a process that is forked from one that has imported it, which saves half of the CPU time of a short run.

For tests that look at what a command does; those that look at how it starts, at its command line or at modules that
PYTHONPATH names need `programs.obswarm`. One at a time, others wait: a test that runs several side by side needs it,
too.

python -m tests.support.forked reads one job a line, as JSON, forks for it, and answers with its exit code.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.patience import HANG_S
from tests.support.programs import ROOT, Finished

_READY = ("run", "find-limit", "config", "master", "worker")
"""Commands that are imported before a job comes."""

_one_at_a_time = threading.Lock()
"""Greenlets, such as those of `make lab-locust`, would read each other's answers."""


def forked_obswarm(*arguments: object, timeout: float = HANG_S, cwd: Path = ROOT, **environment: str) -> Finished:
    """Run obswarm to its end, as `programs.obswarm` does."""
    return run_forked(arguments, {**os.environ, **environment}, cwd, timeout)


def run_forked(
    arguments: Iterable[object], environment: Mapping[str, str], cwd: Path, timeout: float = HANG_S
) -> Finished:
    """Run obswarm to its end in this environment alone."""
    with tempfile.TemporaryDirectory(prefix="obswarm-forked-") as folder:
        job = {
            "arguments": [str(argument) for argument in arguments],
            "folder": folder,
            "cwd": str(cwd),
            "environment": dict(environment),
            "longest_s": timeout,
        }
        with _one_at_a_time:
            program = _program()
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(json.dumps(job) + "\n")
            program.stdin.flush()
            code = int(program.stdout.readline())
        assert code != -signal.SIGALRM, f"it did not end within {timeout} s"
        return Finished(code, *(Path(folder, name).read_text() for name in ("stdout", "stderr")))


@functools.cache
def _program() -> "subprocess.Popen[str]":
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        program.communicate()

    atexit.register(end)
    return program


def main() -> None:
    from obswarm.__main__ import _imported

    _imported()
    from obswarm.cli.commands import COMMANDS

    for name in _READY:
        import_module(f"obswarm.cli.{COMMANDS[name].place.partition(':')[0]}")
    from gevent import monkey
    from gevent.os import fork_gevent

    waitpid = monkey.get_original("os", "waitpid")
    for line in sys.stdin:
        pid = fork_gevent()
        if not pid:
            _run(json.loads(line))
        _, status = waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(job: dict[str, Any]) -> None:
    """Be obswarm with these arguments, and end."""
    from obswarm.__main__ import main as run

    signal.setitimer(signal.ITIMER_REAL, job["longest_s"])
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    tempfile.tempdir = None
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(job["folder"], name), os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["obswarm", *job["arguments"]]
    code: object = 1
    try:
        run()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    main()
