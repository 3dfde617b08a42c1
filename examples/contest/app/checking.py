"""The client of the checker of submissions, which is a service outside."""

import http.client
import threading

import telemetry

_TIMEOUT_S = 5


class CheckerUnavailable(Exception):
    """The checker has not answered."""


class Checker:
    """Each thread has a connection that stays open."""

    def __init__(self, host, port):
        self._where = (host, port)
        self._own = threading.local()

    def check(self, code):
        """Wait for the checker's answer. Raises CheckerUnavailable."""
        with telemetry.DEPENDENCY_DURATION.labels("checker").time():
            # A connection that was open may have been closed by the other side.
            for is_last in (getattr(self._own, "connection", None) is None, True):
                try:
                    self._send(code)
                    return
                except (OSError, http.client.HTTPException) as error:
                    self._own.connection = None
                    if is_last:
                        raise CheckerUnavailable(str(error) or type(error).__name__) from error

    def _send(self, code):
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection(*self._where, timeout=_TIMEOUT_S)
        connection.request("POST", "/check", code.encode())
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
