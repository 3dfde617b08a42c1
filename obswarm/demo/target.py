"""The server process of the demo's site: a non-blocking front end, and a small pool of app workers behind it.

`python -m obswarm.demo.target` prints its address as one line of JSON and serves until its standard input is closed, so
that it does not outlive its parent process.
"""

import argparse
import io
import json
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import gevent
from gevent.pywsgi import WSGIServer
from gevent.threadpool import ThreadPool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from obswarm.demo.site import Environ, Metrics, Site, StartResponse
from obswarm.temporary import TemporaryFolder

WORKERS = 8
LONGEST_QUEUE = 120


class Front:
    """WSGI application that passes requests to the pool, and rejects them with 503 if the queue is full.

    It serves /metrics and /health itself, so that they respond while all workers are blocked.
    """

    def __init__(self, site: Site, metrics: Metrics, workers: int, longest_queue: int) -> None:
        self._site = site
        self._metrics = metrics
        self._pool = ThreadPool(workers)
        self._workers = workers
        self._longest_queue = longest_queue
        self._inside = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page = generate_latest(self._metrics.registry)
            start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(page)))])
            return [page]
        if path == "/health":
            start_response("204 No Content", [])
            return []
        if self._inside >= self._workers + self._longest_queue:
            self._metrics.requests.labels("turned away", "503").inc()
            body = b'{"error": "every app worker is busy and the queue is full"}'
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response("503 Service Unavailable", headers)
            return [body]
        # Read the body here, so that a slow client does not block a worker.
        request = {**environ, "wsgi.input": io.BytesIO(environ["wsgi.input"].read())}
        self._count(+1)
        try:
            status, headers, answer = self._pool.apply(self._work, (request,))
        finally:
            self._count(-1)
        start_response(status, headers)
        return [answer]

    def _count(self, change: int) -> None:
        self._inside += change
        self._metrics.workers_busy.set(min(self._inside, self._workers))
        self._metrics.queue.set(max(0, self._inside - self._workers))

    def _work(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            started.append((status, headers))

        body = b"".join(self._site(environ, start_response))
        status, headers = started[0]
        return status, headers, body


def serve(port: int, workers: int, longest_queue: int) -> None:
    """Serve on loopback until standard input ends."""
    with TemporaryFolder("demo") as folder:
        metrics = Metrics(workers)
        front = Front(Site(Path(folder.name) / "contest.sqlite", metrics), metrics, workers, longest_queue)
        server = WSGIServer(("127.0.0.1", port), front, log=None, error_log=sys.stderr, backlog=1024)
        server.init_socket()
        # Head and body of a response are two writes, the second of which waits for the client's acknowledgement, else.
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.start()
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
        gevent.get_hub().threadpool.apply(sys.stdin.buffer.read)
        server.stop(timeout=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the target of `obswarm demo` separately.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 selects a free port")
    parser.add_argument("--workers", type=int, default=WORKERS, help="number of app workers")
    parser.add_argument("--longest-queue", type=int, default=LONGEST_QUEUE, help="maximum number of waiting requests")
    options = parser.parse_args()
    serve(options.port, options.workers, options.longest_queue)


if __name__ == "__main__":
    main()
