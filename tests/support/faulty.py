"""obswarm with a fault at one of its writing places: `run_with_fault` in a process of its own, which can do many runs.

python -m tests.support.faulty reads one job a line, as JSON, and answers each with a line: the exit code, whether the place
was reached, and what was printed.
"""

import builtins
import errno
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Self

from tests.support.patience import HANG_S
from tests.support.programs import ROOT
from tests.support.writing_places import PACKAGE, instrumented

WRAPPER = "__call_that_may_fail__"
SQLITE = {
    errno.ENOSPC: (sqlite3.SQLITE_FULL, "database or disk is full"),
    errno.EIO: (sqlite3.SQLITE_IOERR, "disk I/O error"),
    errno.EMFILE: (sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    errno.EROFS: (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
}


@dataclass
class Armed:
    """The fault that is to happen: at the call number `after` of a place, and at each one after it."""

    place: str = ""
    error: int = 0
    after: int = 0
    calls: int = 0


armed = Armed()
reached: set[str] = set()
"""Places that were called in the run, whether armed or not."""


def call_that_may_fail(place: str, function: Any, *arguments: Any, **named: Any) -> Any:
    reached.add(place)
    if place == armed.place:
        armed.calls += 1
        if armed.calls > armed.after:
            raise fault(place, armed.error)
    return function(*arguments, **named)


def fault(place: str, number: int) -> Exception:
    if "connection.execute" in place or "sqlite3.connect" in place:
        code, text = SQLITE.get(number, SQLITE[errno.EIO])
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        return error
    return OSError(number, os.strerror(number))


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text()
        tree = instrumented(source, str(Path(self.path).relative_to(PACKAGE)), WRAPPER)
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        return code


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if not name.startswith("obswarm."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            spec.loader = _Loader(name, spec.origin)
        return spec


def install() -> None:
    setattr(builtins, WRAPPER, call_that_may_fail)
    sys.meta_path.insert(0, _Finder())


def main() -> None:
    install()
    from obswarm import defaults

    # So that a run of a moment has many seconds.
    defaults.SNAPSHOT_INTERVAL_S = 0.05
    from obswarm.api import events
    from obswarm.cli import main as cli

    answers = sys.stdout
    for line in sys.stdin:
        job = json.loads(line)
        folder = Path(job["folder"])
        os.chdir(folder)
        reached.clear()
        for hook in vars(events).values():
            # Those of the load test before.
            hook.listeners.clear()
        armed.place, armed.error, armed.after, armed.calls = job["place"], job["error"], job["after"], 0
        sys.argv = ["obswarm", *job["arguments"]]
        code: object = None
        with open("stdout", "w") as sys.stdout, open("stderr", "w") as sys.stderr:
            try:
                cli.main()
            except SystemExit as ended:
                code = ended.code
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
            failed = armed.calls > armed.after
            armed.place = ""
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except OSError:
                    code = "120: something was left to be written when the process ended"
        sys.stdout, sys.stderr = answers, sys.__stderr__
        print(json.dumps({"code": code, "failed": failed, "reached": sorted(reached)}), file=answers, flush=True)


@dataclass(frozen=True)
class Ended:
    """How a run with a fault ended: what is in its folder is for the test to look at."""

    code: object
    failed: bool
    """Whether the fault has happened."""
    reached: frozenset[str]
    """Places that were called."""
    stdout: str
    stderr: str


class FaultyProgram:
    """The process; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faulty"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                name: value for name, value in os.environ.items() if name not in ("OBSWARM_STORE", "OBSWARM_NO_REPORT")
            },
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(HANG_S)
        self._process.stdout.close()

    def run(self, folder: Path, arguments: Sequence[object], place: str = "", error: int = 0, after: int = 0) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "folder": str(folder),
            "arguments": [str(argument) for argument in arguments],
            "place": place,
            "error": error,
            "after": after,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Ended(answer["code"], answer["failed"], frozenset(answer["reached"]), *texts)


if __name__ == "__main__":
    main()
