"""A site whose database locks rows from a moment on: its answers become slow, and its exporter shows why."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent

from obswarm import clock
from tests.support.listening import listening

WAITING = 30


@dataclass
class BreakingSite:
    """Breaks `healthy_s` seconds after the first request for a page, if it does at all."""

    healthy_s: float
    address: str = ""
    first_s: float | None = None
    scrapes: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def is_broken(self) -> bool:
        return self.first_s is not None and clock.monotonic() >= self.first_s + self.healthy_s

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
        if environ["PATH_INFO"] == "/metrics":
            waiting = WAITING if self.is_broken else 0
            yield f"mysql_global_status_innodb_row_lock_current_waits {waiting}\n".encode()
            yield f"mysql_global_status_threads_running {waiting + 2}\n".encode()
            # Of no exporter that anybody knows.
            self.scrapes += 1
            for queue, factor in (("mail", 2), ("pictures", 3)):
                yield f'shop_jobs_waiting{{queue="{queue}"}} {factor * waiting}\n'.encode()
            yield f"shop_scrapes_total {self.scrapes}\n".encode()
            return
        self.first_s = self.first_s or clock.monotonic()
        gevent.sleep(0.6 if self.is_broken else 0.05)
        yield b"page"


@contextmanager
def breaking_site(healthy_s: float) -> Iterator[BreakingSite]:
    site = BreakingSite(healthy_s)
    with listening(site.answer) as site.address:
        yield site
