"""Waiting for a program that serves HTTP to be ready."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable


def wait_for_http(url: str, process: "subprocess.Popen[bytes]", log: Callable[[], str]) -> None:
    """Until the URL answers with success; fails with the program's log when it ends or takes too long."""
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (OSError, urllib.error.HTTPError):
            assert time.monotonic() < deadline, log()
            assert process.poll() is None, log()
            time.sleep(0.05)
