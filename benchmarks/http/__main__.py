"""`python -m benchmarks.http`: rates, ratios, CPU per request, memory per idle user."""

import argparse
import os
import resource
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.http.contenders import (
    BUSY_USERS,
    Contender,
    Speed,
    install_locust,
    install_tools,
    locust,
    measure_memory,
    measure_speed,
    obswarm,
    wrk,
)
from benchmarks.http.server import Nginx

_WAYS = {
    "http": "plain HTTP over kept connections",
    "https": "HTTPS over kept connections",
    "http-new": "plain HTTP over a new connection for each request",
    "https-new": "HTTPS over a new connection for each request",
}
_IDLE_USERS = (1, 5_001, 10_001)
_OPEN_FILES = 65_536
console = Console(width=110)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each contender once in each (5)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds that are counted in a round (4)")
    parser.add_argument("--only", help="only contenders whose names contain this, and wrk")
    parser.add_argument("--over", nargs="+", choices=_WAYS, default=list(_WAYS), help="kinds of connections (all)")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory of idle users out")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed, one for the server and one for the clients")
    install_tools()
    install_locust()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _OPEN_FILES), most))
    with Nginx(cores[0]) as server:
        for way in options.over:
            _speed(server, way, cores[1], options.rounds, options.seconds, options.only or "")
        if not options.no_memory:
            _memory(server, cores[1], options.only or "")


def _speed(server: Nginx, way: str, core: int, rounds: int, seconds: int, only: str) -> None:
    reconnects = way.endswith("-new")
    url = server.tls_url if way.startswith("https") else server.url
    reference = wrk(reconnects)
    kind = "Reconnecting" if reconnects else "Busy"
    users = [make(f"{client}{kind}") for make in (obswarm, locust) for client in ("Fast", "Plain")]
    contenders = [reference, *(contender for contender in users if only in contender.name)]
    measured: dict[str, list[Speed]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            speed = measure_speed(contender, server, url, core, seconds)
            measured[contender.name].append(speed)
            console.print(f"{way}, round {number + 1}: {contender.name:<24} {speed.rate:>10,.0f} requests/s")
    table = Table(title=f"{BUSY_USERS} users without wait time on one core, {_WAYS[way]}, medians of {rounds} rounds")
    for heading in ("client", "requests/s", "CPU µs/request", "share of wrk", "by CPU", "× Locust's", "by CPU"):
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for name, speeds in measured.items():
        rival = name.replace("obswarm", "Locust")
        table.add_row(
            name,
            f"{median(speed.rate for speed in speeds):,.0f}",
            f"{median(speed.cpu_s for speed in speeds) * 1e6:.1f}",
            f"{_ratio(speeds, measured[reference.name]):.3f}",
            f"{_cpu_ratio(speeds, measured[reference.name]):.3f}",
            f"{_ratio(speeds, measured[rival]):.2f}" if rival != name and rival in measured else "",
            f"{_cpu_ratio(speeds, measured[rival]):.2f}" if rival != name and rival in measured else "",
        )
    console.print(table)


def _ratio(speeds: list[Speed], others: list[Speed]) -> float:
    """The median over the rounds of the ratio within a round, so that a slow spell of the machine hits both."""
    return median(mine.rate / theirs.rate for mine, theirs in zip(speeds, others, strict=True))


def _cpu_ratio(speeds: list[Speed], others: list[Speed]) -> float:
    """The same of requests per second of CPU time, which others that use the machine change less."""
    return median(theirs.cpu_s / mine.cpu_s for mine, theirs in zip(speeds, others, strict=True))


def _memory(server: Nginx, core: int, only: str) -> None:
    contenders: list[Contender] = [make(name) for make in (obswarm, locust) for name in ("FastIdle", "PlainIdle")]
    table = Table(title="memory of all processes with idle, connected users: PSS, and RSS in brackets")
    table.add_column("client")
    for users in _IDLE_USERS:
        table.add_column(f"{users:,} users", justify="right")
    table.add_column("kB per user", justify="right")
    for contender in contenders:
        if only not in contender.name:
            continue
        sizes = [measure_memory(contender, server, core, users) for users in _IDLE_USERS]
        each = (sizes[-1].pss_bytes - sizes[0].pss_bytes) / (_IDLE_USERS[-1] - _IDLE_USERS[0]) / 1000
        table.add_row(
            contender.name,
            *(f"{size.pss_bytes / 1e6:.1f} ({size.rss_bytes / 1e6:.1f}) MB" for size in sizes),
            f"{each:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
