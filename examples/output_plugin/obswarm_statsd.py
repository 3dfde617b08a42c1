"""An output of a third party: sends the metrics of each second of a run to a StatsD server, by UDP.

pip install ./examples/output_plugin
obswarm run loadtest.py -H http://127.0.0.1:8000 -t 1m --output statsd=127.0.0.1:8125
"""

import socket

from obswarm import Annotation, ObswarmError, Output, OutputParams, Snapshot

PREFIX = "obswarm"


class StatsdOutput(Output):
    """The hooks that are not overridden do nothing; see docs/outputs.md for all of them."""

    def __init__(self, params: OutputParams) -> None:
        host, _, port = (params.argument or "127.0.0.1:8125").rpartition(":")
        if not host or not port.isdigit():
            # This ends the command before the run starts, with exit code 2.
            raise ObswarmError(f"{params.argument!r} is no HOST:PORT")
        self._option = params.option
        self._address = (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @property
    def name(self) -> str:
        """Name of this output in error messages and results."""
        return self._option

    def snapshot(self, snapshot: Snapshot) -> None:
        recent = snapshot.interval_total
        lines = [
            f"{PREFIX}.users:{snapshot.user_count}|g",
            f"{PREFIX}.requests:{recent.requests}|c",
            f"{PREFIX}.failures:{recent.failures}|c",
        ]
        p95_s = recent.quantile(0.95)
        if p95_s is not None:
            lines.append(f"{PREFIX}.p95:{p95_s * 1000:.3f}|ms")
        self._send(lines)

    def annotation(self, annotation: Annotation) -> None:
        self._send([f"{PREFIX}.annotations.{annotation.kind}:1|c"])

    def close(self) -> None:
        self._socket.close()

    def _send(self, lines: list[str]) -> None:
        # An error that is raised here is logged once and named in the results; the run goes on.
        self._socket.sendto("\n".join(lines).encode(), self._address)
