"""Command lines that the program refuses, in this process."""

import sys
from contextlib import redirect_stderr
from io import BytesIO, TextIOWrapper

import pytest

from obswarm.cli.main import main


def refusal(*line: str) -> str:
    """Call the entry point with a command line that it refuses, and return the message after `Error: `."""
    # With an encoding that the program may change.
    shown = TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(shown):
        patch.setattr(sys, "argv", ["obswarm", *line])
        patch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(SystemExit) as ended:
            main()
    shown.seek(0)
    text = shown.read()
    assert ended.value.code == 2, text
    return text.rpartition("Error: ")[2].strip()
