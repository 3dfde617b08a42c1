"""`python -m benchmarks.http.calls`: CPU per call of HttpUser's session by what the call has, beside Locust's."""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

if __name__ == "__main__" and "--of" not in sys.argv:
    from benchmarks.http.contenders import LOCUST_ENVIRONMENT, install_locust, install_tools
    from benchmarks.http.server import Nginx

_USERS = 20
_CALLS = {"obswarm": 4000, "locust": 600}


def _judged(session: Any, number: int) -> None:
    with session.get("/", catch_response=True) as response:
        if response.status_code != 200:
            response.failure("not 200")


KINDS: dict[str, Callable[[Any, int], Any]] = {
    "get": lambda session, number: session.get("/"),
    "get, and response.json()": lambda session, number: session.get("/").json(),
    "json=": lambda session, number: session.post("/", json={"a": 1, "b": "x"}),
    "data=": lambda session, number: session.post("/", data={"a": 1, "b": "x"}),
    "params=, each time others": lambda session, number: session.get("/", params={"q": number}, name="/"),
    "headers=, each time others": lambda session, number: session.get("/", headers={"X-Id": f"n{number}"}),
    "each time another path": lambda session, number: session.get(f"/items/{number}", name="/items"),
    "two cookies": lambda session, number: session.get("/"),
    "catch_response=True": _judged,
    "stream=True": lambda session, number: session.get("/", stream=True).content,
}


def _sessions(library: str, url: str) -> list[Any]:
    """Sessions that count their requests as in a run."""
    if library == "locust":
        import locust.clients
        import locust.env

        environment = locust.env.Environment(events=locust.events)
        _ = environment.stats
        hook = environment.events.request
        hook.add_listener(
            lambda request_type, name, response_time, response_length, **_: environment.stats.log_request(
                request_type, name, response_time, response_length
            )
        )
        return [locust.clients.HttpSession(url, hook, user=None) for _ in range(_USERS)]
    from obswarm.api import Environment, Events
    from obswarm.http import HttpSession
    from obswarm.stats import Recorder

    ours = Environment(events=Events(), recorder=Recorder(), stop_timeout=1)
    return [HttpSession(ours, url) for _ in range(_USERS)]


def measure(library: str, url: str) -> None:
    """Print microseconds of CPU per call of each kind, in this process."""
    import gevent.monkey

    if library == "locust":
        gevent.monkey.patch_all()
    count = _CALLS[library] // _USERS
    for name, call in KINDS.items():
        sessions = _sessions(library, url)
        if "cookies" in name:
            for session in sessions:
                session.cookies.set("session", "abc", domain="127.0.0.1", path="/")
                session.cookies.set("other", "1")

        def user(session: Any, first: int, most: int, call: Callable[[Any, int], Any] = call) -> None:
            for number in range(first, first + most):
                call(session, number)

        def all_users(most: int, sessions: list[Any] = sessions, user: Callable[..., None] = user) -> None:
            gevent.joinall([gevent.spawn(user, each, place * 10_000, most) for place, each in enumerate(sessions)])

        all_users(5)
        before_s = _cpu_s()
        all_users(count)
        print(f"{name}\t{(_cpu_s() - before_s) / count / _USERS * 1e6:.1f}", flush=True)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http.calls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each library once in each (5)")
    parser.add_argument("--of", choices=_CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of:
        measure(options.of, options.url)
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed, one for the server and one for the clients")
    install_tools()
    install_locust()
    programs = {"obswarm": sys.executable, "locust": str(LOCUST_ENVIRONMENT / "bin" / "python")}
    measured: dict[str, dict[str, list[float]]] = {name: {each: [] for each in programs} for name in KINDS}
    with Nginx(cores[0]) as server:
        for _ in range(options.rounds):
            for library, program in programs.items():
                script = str(Path(__file__).resolve())
                command = ["taskset", "-c", str(cores[1]), program, script, "--of", library, "--url", server.url]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                for line in output.splitlines():
                    name, microseconds = line.split("\t")
                    measured[name][library].append(float(microseconds))
    print(f"CPU µs per call, {_USERS} users, medians of {options.rounds} rounds: obswarm, Locust, ratio within a round")
    for name, by_library in measured.items():
        ours, theirs = by_library["obswarm"], by_library["locust"]
        ratio = median(other / own for own, other in zip(ours, theirs, strict=True))
        print(f"{name:<28} {median(ours):8.1f} {median(theirs):8.1f} {ratio:8.1f}")


if __name__ == "__main__":
    main()
