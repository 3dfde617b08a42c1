"""A program that makes requests and prints, as JSON, the texts of what came of them and how many bytes its resident
memory had grown by at its peak. Run it by `measure`."""

import json
import sys

import gevent
import gevent.subprocess

from obswarm.api import Environment, Events
from obswarm.http import FastHttpUser, HttpUser
from obswarm.stats import Recorder
from tests.support.patience import HANG_S

KINDS = {"FastHttpUser": FastHttpUser, "HttpUser": HttpUser}


def measure(
    kind: type, url: str, largest_bytes: int, users: int, requests: int, keep: bool = False, discard: bool = False
) -> tuple[list[str], int]:
    """(what came of each request, growth in bytes) of so many users with so many requests each, in another process."""
    words = [kind.__name__, url, str(largest_bytes), str(users), str(requests), str(int(keep)), str(int(discard))]
    command = [sys.executable, "-m", __name__, *words]
    done = gevent.subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    results, grown = json.loads(done.stdout)
    return results, grown


def _most_resident_bytes() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _main(kind: str, url: str, largest_bytes: int, users: int, requests: int, keep: int, discard: int) -> None:
    environment = Environment(events=Events(), recorder=Recorder(), stop_timeout=1)
    visitor = type("Visitor", (KINDS[kind],), {"host": url, "max_response_bytes": largest_bytes})
    results: list[str] = []
    kept: list[object] = []

    def visit() -> None:
        client = visitor(environment).client
        for _ in range(requests):
            response = client.get("/", discard_body=bool(discard))
            results.append(str(response.error or (response.status_code if discard else len(response.content))))
            if keep:
                kept.append(response)
            del response

    visitor(environment).client.close()
    before = _most_resident_bytes()
    gevent.joinall([gevent.spawn(visit) for _ in range(users)], raise_error=True)
    print(json.dumps([results, _most_resident_bytes() - before]))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
