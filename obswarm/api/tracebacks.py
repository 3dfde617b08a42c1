"""Tracebacks for the author of a load-test file: without obswarm's own frames."""

import os
import traceback
from pathlib import Path
from types import FrameType, TracebackType

from obswarm.killed import put_off
from obswarm.sanitize import to_text, type_name

_PACKAGE = str(Path(__file__).resolve().parents[1])
_STANDARD_LIBRARY = os.path.dirname(traceback.__file__)
"""As sysconfig.get_path("stdlib"), which takes 0.2 MB."""

_IMPORT_MACHINERY = ("<frozen importlib", os.path.join(_STANDARD_LIBRARY, "importlib"))
_NOT_OF_A_LOAD_TEST = (_PACKAGE, _STANDARD_LIBRARY, "<", "src/")
"""gevent's compiled frames call their files src/gevent/…"""


def _is_ours(filename: str) -> bool:
    return filename.startswith((_PACKAGE, *_IMPORT_MACHINERY))


def user_traceback(error: BaseException) -> str:
    """Return the traceback without the leading frames that belong to obswarm or to the import machinery.

    Frames of ours that lie between or below theirs are cut off as well: the last line of theirs is where to look.
    When no frame is theirs, what remains is the error alone.
    """
    tb: TracebackType | None = error.__traceback__
    kept = [frame for frame in traceback.extract_tb(tb) if not _is_ours(frame.filename)]
    if isinstance(error, SyntaxError):
        kept = [frame for frame in kept if frame.filename == error.filename]
    lines = []
    if kept:
        lines.append("Traceback (most recent call last):\n")
        lines.extend(traceback.format_list(kept))
    try:
        lines.extend(traceback.format_exception_only(error))
    except BaseException as raised:
        # Its class has methods that raise, too.
        put_off(raised)
        lines.append(f"{type_name(error)}: {to_text(error)}")
    return "".join(lines).rstrip()


def user_location(error: BaseException) -> str | None:
    """`file:line` of the innermost frame of the load-test file's own code, None when there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _is_ours(frame.filename) and "site-packages" not in frame.filename and "<" not in frame.filename:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return None


def is_of_a_load_test(error: BaseException) -> bool:
    """Return whether the exception passed through a function of the load test."""
    return any(_has_load_test_code(frame.filename) for frame in traceback.extract_tb(error.__traceback__))


def is_ours(error: BaseException) -> bool:
    """Return whether the exception passed through functions of obswarm, and through none of the load test."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename.startswith(_PACKAGE) for frame in frames) and not is_of_a_load_test(error)


def runs_code_of_a_load_test(frame: FrameType | None) -> bool:
    """Return whether a function of the load test is on the call stack."""
    while frame is not None:
        if _has_load_test_code(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


def _has_load_test_code(filename: str) -> bool:
    return not filename.startswith(_NOT_OF_A_LOAD_TEST) and "site-packages" not in filename
