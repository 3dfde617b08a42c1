"""Serve the metrics of the processes of one cluster (/metrics) and those of uWSGI (/uwsgi/metrics).

A separate program, so that it responds also when every uWSGI process is blocked.

exporter.py ADDRESS:PORT UWSGI_STATS_ADDRESS:PORT
"""

import json
import os
import socket
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from processor import CpuOfCluster
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_STATS_TIMEOUT_S = 0.8


class UwsgiStats:
    """A collector for uWSGI's stats server, which sends one JSON document to each connection."""

    def __init__(self, address, port):
        self._where = (address, port)

    def _read(self):
        with socket.create_connection(self._where, _STATS_TIMEOUT_S) as connection:
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return json.loads(b"".join(parts))

    def collect(self):
        stats = self._read()
        queue = GaugeMetricFamily("uwsgi_listen_queue_length", "Requests that wait to be taken by a worker")
        queue.add_metric([], stats["listen_queue"])
        # A cheaped worker has not been started by uWSGI.
        workers = [worker for worker in stats["workers"] if worker["status"] != "cheap"]
        count = GaugeMetricFamily("uwsgi_workers", "Worker processes")
        count.add_metric([], len(workers))
        label = ["worker"]
        busy = GaugeMetricFamily("uwsgi_worker_busy", "1 when no thread of the worker is free", labels=label)
        threads = GaugeMetricFamily("uwsgi_worker_threads_busy", "Threads that are at a request", labels=label)
        size = GaugeMetricFamily("uwsgi_worker_threads", "Threads of the worker", labels=label)
        requests = CounterMetricFamily("uwsgi_worker_requests", "Requests taken", labels=label)
        for worker in workers:
            name = [str(worker["id"])]
            at_work = sum(core["in_request"] for core in worker["cores"])
            busy.add_metric(name, float(at_work == len(worker["cores"])))
            threads.add_metric(name, at_work)
            size.add_metric(name, len(worker["cores"]))
            requests.add_metric(name, worker["requests"])
        yield from (queue, count, busy, threads, size, requests)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format, *arguments):  # noqa: A002 - the base class calls it so
        pass


def make_application(uwsgi_stats, cpu):
    def application(environ, start_response):
        registry = CollectorRegistry()
        if environ["PATH_INFO"] == "/metrics":
            multiprocess.MultiProcessCollector(registry)
            registry.register(cpu)
        elif environ["PATH_INFO"] == "/uwsgi/metrics":
            registry.register(uwsgi_stats)
        else:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"There are /metrics and /uwsgi/metrics.\n"]
        try:
            page = generate_latest(registry)
        except (OSError, ValueError) as error:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [f"uWSGI does not tell its state: {error}\n".encode()]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [page]

    return application


def main():
    address, _, port = sys.argv[1].rpartition(":")
    stats_address, _, stats_port = sys.argv[2].rpartition(":")
    application = make_application(UwsgiStats(stats_address, int(stats_port)), CpuOfCluster(os.getppid()))
    with make_server(address, int(port), application, _Server, _Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
