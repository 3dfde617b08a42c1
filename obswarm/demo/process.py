"""Start and stop the demo's target in a separate process."""

import json
import subprocess
import sys
from types import TracebackType

import gevent

from obswarm.api import ObswarmError

_START_DEADLINE_S = 30.0


class TargetProcess:
    """Context manager that runs the target; `url` is its address."""

    def __init__(self) -> None:
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "TargetProcess":
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "obswarm.demo.target"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # In its own session, since Ctrl-C in the terminal is for the load test; it exits when its stdin is closed.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = b""
        with gevent.Timeout(_START_DEADLINE_S, False):
            line = self._process.stdout.readline()
        if not line:
            code = self._process.poll()
            self.__exit__(None, None, None)
            raise ObswarmError(f"The demo's target did not start (exit code {code}); see its message above.")
        self.url = json.loads(line)["url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
