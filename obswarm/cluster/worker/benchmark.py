"""The capacity benchmark of a worker: the speed of its users' clients on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent import socket

from obswarm.api import Environment, Events, User
from obswarm.engine import allocate, weight_of
from obswarm.greenlets import Supervisor
from obswarm.http import FastHttpUser, HttpUser
from obswarm.stats import Recorder

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
_SLICES = 6
_CPU_S = 0.24
"""CPU time of all slices of all clients together; short, as the start of a run waits for it."""

_WARM_UP_REQUESTS = 100
_IN_A_ROW = 20
_LONGEST_S = 5.0
_SAMPLE_USERS = 1_000
"""Number of users that are allocated to the user classes, to find the share of each client."""


class _FastProbe(FastHttpUser):
    abstract = True


class _RequestsProbe(HttpUser):
    abstract = True


Client = type[User]
"""FastHttpUser, HttpUser, or User for a client of any other protocol."""


def client_shares(user_classes: Sequence[type[User]]) -> dict[Client, float]:
    """Return the share of users by client, from the weights and fixed counts of the user classes.

    Raises ObswarmError for an invalid weight or fixed count.
    """
    counts = allocate(_SAMPLE_USERS, [weight_of(cls) for cls in user_classes])
    users: dict[Client, int] = {}
    for cls in user_classes:
        client = next((known for known in (FastHttpUser, HttpUser) if issubclass(cls, known)), User)
        users[client] = users.get(client, 0) + counts[cls.__name__]
    total = sum(users.values())
    return {client: count / total for client, count in users.items() if count} if total else {User: 1.0}


def requests_per_cpu_second(user_classes: Sequence[type[User]]) -> float:
    """Return the requests per second of CPU time, with the clients of these user classes in proportion to their users.

    Tasks cannot be run before the load test starts, so the clients are measured: requests to a server in a greenlet of
    this process, including the work of that; for a protocol other than HTTP only `environment.request()`, which
    measures how fast this CPU runs Python.

    CPU time instead of wall time is measured, so that other processes do not matter. The best of a few slices counts,
    since disturbances only slow down. Raises ObswarmError as `client_shares` does.
    """
    shares = client_shares(user_classes)
    environment = Environment(events=Events(), recorder=Recorder())
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    environment.host = f"http://127.0.0.1:{server.getsockname()[1]}"
    serving = Supervisor().spawn("The server of the capacity measurement", _serve, server)
    try:
        slice_s = _CPU_S / _SLICES / len(shares)
        return combined({client: _rate_of(client, environment, slice_s) for client in shares}, shares)
    finally:
        serving.kill()
        server.close()


def combined(rates: Mapping[Client, float], shares: Mapping[Client, float]) -> float:
    """Return the total rate of all clients, if each sends its share of the requests."""
    return 1 / sum(share / rates[client] for client, share in shares.items())


def _rate_of(client: Client, environment: Environment, slice_s: float) -> float:
    """Return the requests of a client per second of CPU time in the best slice."""
    if client is User:
        return _best_rate(lambda: _bare_request(environment), slice_s)
    user = (_FastProbe if client is FastHttpUser else _RequestsProbe)(environment)
    try:
        return _best_rate(lambda: user.client.get("/"), slice_s)
    finally:
        user.client.close()


def _bare_request(environment: Environment) -> None:
    with environment.request("PROBE", "/"):
        # Yield once to the event loop, as a client does while it waits for a response.
        gevent.sleep(0)


def _best_rate(make_request: Callable[[], object], slice_s: float) -> float:
    best = 0.0
    deadline = time.monotonic() + _LONGEST_S
    for _ in range(_WARM_UP_REQUESTS):
        make_request()
    for _ in range(_SLICES):
        requests, began = 0, time.process_time()
        while time.process_time() - began < slice_s:
            for _ in range(_IN_A_ROW):
                make_request()
            requests += _IN_A_ROW
        best = max(best, requests / (time.process_time() - began))
        if time.monotonic() > deadline:
            break
    return best


def _serve(server: Any) -> None:
    """Respond to requests, one connection at a time."""
    while True:
        connection, _ = server.accept()
        with connection:
            while connection.recv(4096):
                connection.sendall(_ANSWER)
