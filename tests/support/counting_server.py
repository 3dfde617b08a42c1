"""A target that counts for itself, in a process of its own: `python -m tests.support.counting_server`.

Prints its port, serves on loopback until standard input ends. Paths: /count, /arrivals and /log tell what came (and are
not counted), /fail answers 500, /slow?seconds=0.1 waits, /hang never answers, /reset cuts the connection, everything else
answers 200.
"""

import json
import socket
import struct
import sys
import time
from collections import Counter
from urllib.parse import parse_qs

import gevent
from gevent.pywsgi import WSGIServer

counts: Counter[str] = Counter()
arrivals: list[float] = []
log: list[list[object]] = []
"""[path, query, when it came, when it was answered or None, status or None]; wall times."""


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/count":
        return _answer(start_response, "200 OK", {"total": sum(counts.values()), "by_path": dict(counts)})
    if path == "/arrivals":
        return _answer(start_response, "200 OK", arrivals)
    if path == "/log":
        return _answer(start_response, "200 OK", log)
    environ["wsgi.input"].read()
    counts[path] += 1
    arrivals.append(time.time())
    entry = [path, environ["QUERY_STRING"], arrivals[-1], None, None]
    log.append(entry)
    answered = _request(environ, start_response, path)
    entry[3:] = time.time(), 500 if path == "/fail" else 200
    return answered


def _request(environ, start_response, path):
    query = parse_qs(environ["QUERY_STRING"])
    if path == "/slow":
        gevent.sleep(float(query["seconds"][0]))
    elif path == "/hang":
        gevent.sleep(60)
    elif path == "/fail":
        return _answer(start_response, "500 Internal Server Error", {"error": "as asked for"})
    elif path == "/reset":
        raw = environ["wsgi.input"].rfile.raw._sock
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        raise ConnectionResetError("as asked for")
    return _answer(start_response, "200 OK", {"path": path, "price": 1})


def _answer(start_response, status, document):
    body = json.dumps(document).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    server = WSGIServer(
        (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1", 0), application, log=None, error_log=None, backlog=1024
    )
    server.init_socket()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.start()
    print(server.server_port, flush=True)
    gevent.get_hub().threadpool.apply(sys.stdin.buffer.read)
