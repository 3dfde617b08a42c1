"""Explains a run of this process while it is still in it, in a process of its own.

The analysis takes CPU time for which requests of this process would have to wait, and its time is not limited. So it
gets a process, which reads the store, and which is killed when it takes too long.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from obswarm.api import ObswarmError
from obswarm.config import FileConfig
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.sanitize import clean_text
from obswarm.units import format_limit

_COMMAND = (sys.executable, "-P", "-m", "obswarm.app.explain_process")
_WRITTEN_WITHIN_S = 1.0
_MAX_TEXT = 2000
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Explained:
    """What saturated first in a run. `sentence` is the headline of its explanation, `suspect` the first suspect as a
    clause; both are empty if it did not break, `suspect` also if nothing that was observed explains it."""

    sentence: str = ""
    suspect: str = ""


def kinds_of(file: FileConfig) -> list[dict[str, Any]]:
    """Return the kinds of targets of obswarm.toml, for the process."""
    return [{**each.values, "metrics": list(each.metrics)} for each in file.kinds]


class StoredRun(Protocol):
    """A run that is being written to a store."""

    @property
    def path(self) -> Path: ...

    def wait_until_written(self, longest_s: float) -> None:
        """Wait until everything so far is in the store, at most `longest_s` seconds."""


class Explainer:
    """Explains the run that is being recorded, with the kinds of targets of the configuration."""

    def __init__(self, run: StoredRun, file: FileConfig) -> None:
        self._run = run
        self._kinds = kinds_of(file)

    def explain(self, run_id: str, longest_s: float, *, yields: bool = False) -> Explained:
        """Explain the run so far. `yields` gives the process a low priority, for the time in which there is load.

        Waits up to `longest_s` seconds, and one more for the store. Raises ObswarmError if there is no explanation by
        then, or none at all.
        """
        self._run.wait_until_written(_WRITTEN_WITHIN_S)
        question = {"store": str(self._run.path), "run": run_id, "kinds": self._kinds, "yields": yields}
        return _answer_of(question, longest_s)


def _answer_of(question: Mapping[str, Any], longest_s: float) -> Explained:
    answer = ask_process(_COMMAND, question, longest_s)
    try:
        return Explained(*(clean_text(str(answer[key]), _MAX_TEXT) for key in ("sentence", "suspect")))
    except KeyError:
        raise ObswarmError("its process returned no result") from None


def ask_process(command: Sequence[str], question: Mapping[str, Any], longest_s: float) -> dict[str, Any]:
    """Start a process, write a question to it as JSON, and return its answer, a JSON object. The process is killed when
    it takes longer than `longest_s` seconds. Raises ObswarmError with its `error`, or why there is no answer."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in the terminal is for the run.
            start_new_session=True,
        )
    except OSError as error:
        raise ObswarmError(f"no process can be started: {reason_of(error)}") from None
    try:
        output, errors = process.communicate(to_json(question).encode(), timeout=longest_s)
    except subprocess.TimeoutExpired:
        raise ObswarmError(f"it took longer than {format_limit(longest_s)}") from None
    except OSError as error:
        raise ObswarmError(reason_of(error)) from None
    finally:
        _end(process)
    if process.returncode:
        raise ObswarmError(_last_line(errors) or f"its process ended with exit code {process.returncode}")
    try:
        answer: dict[str, Any] = json.loads(output)
        reason = answer.get("error")
    except (ValueError, AttributeError):
        raise ObswarmError("its process returned no result") from None
    if reason:
        raise ObswarmError(clean_text(str(reason).rstrip("."), _MAX_REASON))
    return answer


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _last_line(errors: bytes) -> str:
    lines: Sequence[str] = errors.decode("utf-8", "replace").strip().splitlines()
    return clean_text(lines[-1], _MAX_REASON) if lines else ""
