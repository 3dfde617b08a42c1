"""The command's first moments: while it is imported, a signal ends it without a traceback."""

import signal
import subprocess
import sys

import pytest

from obswarm.__main__ import _imported
from tests.support.patience import HANG_S

INTERRUPTED_AT = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))
sys.meta_path.insert(0, Interrupting())
from obswarm.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["obswarm.redact", "obswarm.cli.main"])
def test_a_signal_while_the_command_is_imported_ends_it_without_a_word(module: str, number: signal.Signals) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, module, str(int(number))],
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_once_it_is_imported_signals_mean_what_they_did() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert callable(_imported())
    assert [signal.getsignal(number) for number in numbers] == before
