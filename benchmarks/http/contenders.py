"""Who competes, how each is started, and what is read off each while it runs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.http.server import Nginx

ROOT = Path(__file__).resolve().parents[2]
LOCUST_ENVIRONMENT = ROOT / ".venv-locust"
USERS_FILE = Path(__file__).with_name("users.py")
BUSY_USERS = 50
_WARM_UP_S = 1.5


@dataclass(frozen=True)
class Contender:
    """A program that makes requests; `arguments` come after the program and take {url}, {users} and {seconds}."""

    name: str
    program: tuple[str, ...]
    arguments: tuple[str, ...]

    def command(self, url: str, users: int, seconds: int) -> list[str]:
        values = {"url": url, "users": users, "seconds": seconds}
        return [*self.program, *(part.format(**values) for part in self.arguments)]


_OBSWARM = (sys.executable, "-m", "obswarm", "run", str(USERS_FILE))
_LOCUST = (str(LOCUST_ENVIRONMENT / "bin" / "locust"), "-f", str(USERS_FILE))
_COMMON = ("-H", "{url}", "-u", "{users}", "-r", "2000", "-t", "{seconds}s", "--headless", "--only-summary")


def obswarm(user_class: str) -> Contender:
    return Contender(f"obswarm {user_class}", _OBSWARM, (user_class, *_COMMON, "--stop-timeout", "0"))


def locust(user_class: str) -> Contender:
    return Contender(f"Locust {user_class}", _LOCUST, (user_class, *_COMMON))


def wrk(reconnects: bool = False) -> Contender:
    headers = ("-H", "Connection: close") if reconnects else ()
    return Contender("wrk", ("wrk",), ("-t1", "-c{users}", "-d{seconds}s", *headers, "{url}/"))


def install_locust() -> None:
    """Into an environment of its own, from PyPI."""
    if not (LOCUST_ENVIRONMENT / "bin" / "locust").exists():
        subprocess.run([sys.executable, "-m", "venv", LOCUST_ENVIRONMENT], check=True)
        subprocess.run([LOCUST_ENVIRONMENT / "bin" / "pip", "install", "--quiet", "locust"], check=True)


def install_tools() -> None:
    """nginx and wrk from the system's packages, where they are missing."""
    missing = [
        package
        for program, package in (("nginx", "nginx-light"), ("wrk", "wrk"))
        if shutil.which(program) is None and not Path("/usr/sbin", program).exists()
    ]
    if missing:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", *missing], check=True)


@dataclass(frozen=True)
class Speed:
    """Requests per second as the server counted them, and CPU seconds of the client per request."""

    rate: float
    cpu_s: float


def measure_speed(contender: Contender, server: Nginx, url: str, core: int, seconds: int) -> Speed:
    """One round: start it, let it warm up, count at the server for so many seconds, and end it."""
    _, served = server.counters()
    with _Running(contender, server, url, BUSY_USERS, seconds + 60, core) as running:
        _wait_for_requests(server, served + 2 * BUSY_USERS)
        time.sleep(_WARM_UP_S)
        _, before = server.counters()
        cpu_before, started = running.cpu_s(), time.monotonic()
        time.sleep(seconds)
        _, after = server.counters()
        cpu_s, elapsed_s = running.cpu_s() - cpu_before, time.monotonic() - started
    requests = after - before - 1
    if requests <= 0:
        raise SystemExit(f"{contender.name} made no request within {seconds} s; the machine is too busy to measure.")
    return Speed(requests / elapsed_s, cpu_s / requests)


class Memory(NamedTuple):
    """Bytes of memory of all processes together. Of pages that several of them map (the code of Python and of
    libraries), `pss_bytes` counts each once (proportional set size, proc(5)), `rss_bytes` once for each process."""

    pss_bytes: int
    rss_bytes: int


def measure_memory(contender: Contender, server: Nginx, core: int, users: int) -> Memory:
    """The memory with so many idle, connected users."""
    with _Running(contender, server, server.url, users, 600, core) as running:
        _wait_for_users(server, users)
        time.sleep(2)
        return running.memory()


class _Running:
    def __init__(self, contender: Contender, server: Nginx, url: str, users: int, seconds: int, core: int) -> None:
        self._server = server
        command = ["taskset", "-c", str(core), *contender.command(url, users, seconds)]
        # In requests these overrule a session's `verify = False`, and each request to the server would fail.
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
        self._process = subprocess.Popen(
            command, cwd=USERS_FILE.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._watched = psutil.Process(self._process.pid)

    def __enter__(self) -> "_Running":
        return self

    def __exit__(self, *_: object) -> None:
        every = self._processes()
        for process in every:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(every, 10)
        # The next one begins when nothing of this one is left at the server.
        _wait_for(lambda: self._server.counters()[0] == 1, "connections of a process that has ended")

    def _processes(self) -> list[psutil.Process]:
        """Users may live in processes of their own."""
        return [self._watched, *self._watched.children(recursive=True)]

    def cpu_s(self) -> float:
        # To the nanosecond: the times of /proc/PID/stat come in steps of 10 ms, which on a busy machine are several
        # per cent of a round.
        return sum(time.clock_gettime(_cpu_clock(process.pid)) for process in self._processes())

    def memory(self) -> Memory:
        each = [process.memory_full_info() for process in self._processes()]
        return Memory(sum(info.pss for info in each), sum(info.rss for info in each))


def _cpu_clock(pid: int) -> int:
    """Return the clock of the CPU time of a process, all its threads included: Linux's CPUCLOCK_SCHED, as
    clock_getcpuclockid(3) returns it."""
    return (~pid << 3) | 2


def _wait_for_requests(server: Nginx, number: int) -> None:
    # Each look at the counters is a request, too.
    looks = count(1)
    _wait_for(lambda: server.counters()[1] - next(looks) > number, f"fewer than {number} requests")


def _wait_for_users(server: Nginx, users: int) -> None:
    # The connection that asks is one of them.
    _wait_for(lambda: server.counters()[0] > users, f"fewer than {users} users with a connection")


def _wait_for(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"After two minutes there are {otherwise}.")
        time.sleep(0.1)
