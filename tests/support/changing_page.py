"""A metrics endpoint whose page changes with each scrape, and is the same one for each scraper's n-th scrape."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.listening import listening

NUMBER = "live_page"
"""The metric that says which page it is."""


def page(number: int) -> str:
    """Counters with resets, a series that comes and goes, NaN and infinity, odd bounds, and labels that a scraper has to
    say something about."""
    lines = [
        f"{NUMBER} {number}",
        "# TYPE live_requests_total counter",
        *(f'live_requests_total{{code="{code}",empty=""}} {number % resets * step}' for code, resets, step in ((200, 99, 7), (500, 4, 1))),
        "# TYPE live_commits counter",
        f'live_commits{{job="own",instance="itself"}} {number * 3}',
        f"live_odd {'NaN' if number % 3 == 0 else '+Inf' if number % 3 == 1 else number}",
        f'live_odd{{kind="down"}} {-math.inf if number % 2 else 1.5}',
        f'live_often{{path="line\\nbreak \\"quoted\\" \\\\"}} {number * 0.1}',
    ]  # fmt: skip
    if number % 5 < 3:
        lines.append(f'live_sometimes{{part="{number // 5 % 2}"}} {number}')
    lines.append("# TYPE live_latency histogram")
    for share, bound in enumerate(("0.1", "1", "5e0", "+Inf"), 1):
        lines.append(f'live_latency_bucket{{le="{bound}"}} {number * share}')
    lines += [f"live_latency_sum {number * 2.5}", f"live_latency_count {number * 4}"]
    return "\n".join(lines) + "\n"


@dataclass
class ChangingPage:
    address: str = ""
    scrapes: Counter[str] = field(default_factory=Counter)
    """By the scraper's name."""

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        scraper = environ["HTTP_USER_AGENT"].partition("/")[0]
        self.scrapes[scraper] += 1
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
        yield page(self.scrapes[scraper]).encode()


@contextmanager
def serving() -> Iterator[ChangingPage]:
    served = ChangingPage()
    with listening(served.answer) as served.address:
        yield served
