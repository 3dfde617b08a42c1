"""Simulated workers of a Locust master, for Locust's own interpreter: `python locust_workers.py PORT WORKERS
ENDPOINTS REQUESTS`.

Each speaks Locust's protocol over a connection of its own, and reports once a second (Locust's own workers do so every
three seconds). What it reports is made by Locust's own statistics. Ends with its input.
"""

import random
import sys
import time

import zmq
from locust import __version__
from locust.rpc.protocol import Message
from locust.stats import RequestStats

_DIFFERENT = 40


def reports(endpoints, requests):
    draw = random.Random(1)
    made = []
    for _ in range(_DIFFERENT):
        stats = RequestStats()
        for number in range(endpoints):
            for _ in range(requests):
                stats.log_request("GET", f"/endpoint/{number}", draw.lognormvariate(-4, 0.5) * 1000, 2000)
        made.append(
            {
                "stats": stats.serialize_stats(),
                "stats_total": stats.total.get_stripped_report(),
                "errors": stats.serialize_errors(),
                "user_classes_count": {"Nobody": 1},
                "user_count": 1,
            }
        )
    return made


def main():
    port, workers, endpoints, requests = map(int, sys.argv[1:])
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, workers + 10)
    prepared = reports(endpoints, requests)
    poller = zmq.Poller()
    sockets = {}
    for number in range(workers):
        name = f"w{number}"
        socket = context.socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.IDENTITY, name.encode())
        socket.connect(f"tcp://127.0.0.1:{port}")
        socket.send(Message("client_ready", __version__, name).serialize())
        sockets[socket] = name
        poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    running = set()
    order = list(sockets)
    due, position = time.monotonic(), 0
    beat = {"state": "running", "current_cpu_usage": 30, "current_memory_usage": 60_000_000}
    while True:
        for socket, _ in poller.poll(1):
            if socket == sys.stdin.fileno():
                return
            message = Message.unserialize(socket.recv())
            if message.type == "spawn" and socket not in running:
                name = sockets[socket]
                socket.send(Message("spawning", None, name).serialize())
                counts = {"user_classes_count": {"Nobody": 1}, "user_count": 1}
                socket.send(Message("spawning_complete", counts, name).serialize())
                running.add(socket)
        # All of them once a second, one after the other.
        while position < len(order) * (time.monotonic() - due):
            socket = order[position % len(order)]
            position += 1
            name = sockets[socket]
            state = beat if socket in running else {**beat, "state": "ready"}
            socket.send(Message("heartbeat", state, name).serialize())
            if socket in running:
                data = prepared[(position + position // len(order)) % len(prepared)]
                now = time.time()
                for entry in data["stats"]:
                    entry["last_request_timestamp"] = now
                socket.send(Message("stats", data, name).serialize())


if __name__ == "__main__":
    main()
