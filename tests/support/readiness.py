"""Waiting for a program that serves HTTP to be ready."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.support.patience import HANG_S, wait_until


def wait_for(
    attempt: Callable[[], object],
    errors: tuple[type[Exception], ...],
    process: "subprocess.Popen[bytes]",
    log: Callable[[], str],
) -> None:
    """Until it raises none of these; fails with the program's log when that ends or takes too long."""

    def succeeds() -> bool:
        try:
            attempt()
        except errors:
            return False
        return True

    wait_until(succeeds, log, ended=process.poll)


def wait_for_http(url: str, process: "subprocess.Popen[bytes]", log: Callable[[], str]) -> None:
    """Until the URL answers with success; fails as `wait_for`."""
    errors = (OSError, urllib.error.HTTPError)
    wait_for(lambda: urllib.request.urlopen(url, timeout=HANG_S).close(), errors, process, log)
