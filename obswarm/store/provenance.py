"""Read the origin of a load test: the text of its files, and the state of their git repository."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from obswarm.record import LoadTestText
from obswarm.redact import redact_code

_GIT_TIMEOUT_S = 5.0


def read_loadtests(files: Sequence[Path]) -> list[LoadTestText]:
    """Return the texts of the files that can be read, without recognisable secrets."""
    found = []
    for path in files:
        try:
            found.append(LoadTestText(path.name, _without_secrets(path.read_bytes())))
        except OSError:
            continue
    return found


def _without_secrets(text: bytes) -> bytes:
    return redact_code(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def git_revision(folder: Path) -> str | None:
    """Return the checked-out commit of the folder's repository, with `-dirty` if there are changes; None without git or
    a repository."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--match="]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
