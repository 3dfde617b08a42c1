"""Waiting for a program that serves HTTP to be ready."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable


def wait_for(
    attempt: Callable[[], object],
    errors: tuple[type[Exception], ...],
    process: "subprocess.Popen[bytes]",
    log: Callable[[], str],
    longest_s: float = 30,
) -> None:
    """Until it raises none of these; fails with the program's log when that ends or takes too long."""
    deadline = time.monotonic() + longest_s
    while True:
        try:
            attempt()
            return
        except errors:
            assert time.monotonic() < deadline, log()
            assert process.poll() is None, log()
            time.sleep(0.05)


def wait_for_http(url: str, process: "subprocess.Popen[bytes]", log: Callable[[], str], longest_s: float = 30) -> None:
    """Until the URL answers with success; fails as `wait_for`."""
    errors = (OSError, urllib.error.HTTPError)
    wait_for(lambda: urllib.request.urlopen(url, timeout=1).close(), errors, process, log, longest_s)
