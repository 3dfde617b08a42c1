"""`python -m benchmarks.arrivals.stalling_server STALL_S PERIOD_S`: an HTTP server that answers at once, except in the
first STALL_S seconds of each period, in which it answers nothing until they are over. Prints its port."""

from obswarm import gevent_patch  # noqa: F401,I001 - first of all; see there

import sys
import time
from typing import Any

import gevent
from gevent.server import StreamServer

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def quantile_of_stalls(q: float, stall_s: float, period_s: float) -> float:
    """Return the quantile of response times from the intended start, in seconds, with starts spread evenly over whole
    periods: a share of stall_s / period_s waits for the rest of the stall, which is uniform from 0 to stall_s, and the
    others do not wait."""
    return max(0.0, stall_s * (1 - (1 - q) * period_s / stall_s))


def main() -> None:
    stall_s, period_s = map(float, sys.argv[1:3])
    # Just after a stall, so that clients can connect.
    started = time.monotonic() - stall_s

    def serve(connection: Any, address: object) -> None:
        waiting = b""
        while data := connection.recv(65_536):
            waiting += data
            while b"\r\n\r\n" in waiting:
                _, _, waiting = waiting.partition(b"\r\n\r\n")
                left_s = stall_s - (time.monotonic() - started) % period_s
                if left_s > 0:
                    gevent.sleep(left_s)
                connection.sendall(_ANSWER)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
