"""What the embedded source keeps of a page, beside a real Prometheus that scrapes the same one."""

import gc
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from obswarm.targets import EmbeddedSource, Target
from tests.support.odd_pages import PAGES, Page, PageServer, serving
from tests.support.patience import wait_until
from tests.support.prometheus import Prometheus
from tests.support.scraped import Series, only_in, series_of_prometheus, series_of_source

_INTERVAL_S = 3


@dataclass(frozen=True, slots=True)
class Both:
    served: PageServer
    prometheus: Prometheus
    source: EmbeddedSource

    def of_prometheus(self) -> dict[str, Series]:
        return series_of_prometheus(self.prometheus)

    def of_source(self) -> dict[str, Series]:
        return series_of_source(self.source)

    def errors_of_prometheus(self) -> dict[str, str]:
        """Of those that have been scraped, by job."""
        targets = self.prometheus.api("targets")["activeTargets"]
        return {each["labels"]["job"]: each["lastError"] for each in targets if each["health"] != "unknown"}

    def errors_of_source(self) -> dict[str, str]:
        return {
            health.target.name: "" if health.up else health.detail
            for health in self.source.health()
            if health.age_s is not None
        }


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    names = [name for name in PAGES if not name.startswith("redirect-") or name.count("-") == 1]
    with (
        serving() as served,
        Prometheus(
            *(f"{name}={served.address}/{name}" for name in (*names, *CHANGING)),
            features="",
            interval=f"{_INTERVAL_S}s",
        ) as prometheus,
    ):
        # A sample with a time of its own is seen for as long as a query looks back.
        now_ms = str(round(time.time() * 1000)).encode()
        served.pages |= {
            name: replace(first, body=first.body.replace(b"{now_ms}", now_ms)) for name, (first, *_) in CHANGING.items()
        }
        targets = [Target(name, f"http://{served.address}/{name}", "app") for name in (*names, *CHANGING)]
        source = EmbeddedSource(targets, interval_s=_INTERVAL_S)
        source.start()
        both = Both(served, prometheus, source)
        try:
            wait_until(lambda: len(both.errors_of_prometheus()) == len(targets), both.errors_of_prometheus)
            wait_until(lambda: len(both.errors_of_source()) == len(targets), both.errors_of_source)
            yield both
        finally:
            with warnings.catch_warnings():
                # Readers that are killed while they connect leave their socket to the collector.
                warnings.simplefilter("ignore", ResourceWarning)
                source.close()
                gc.collect()


_THREE = b'a{x="1"} 1\nb{x="1"} 2\nc{x="1"} 3\n'
_TIMED = b"a 1 {now_ms}\nb 2\n"
CHANGING = {
    "loses-a-series": (Page(_THREE), Page(_THREE.replace(b"b", b"#")), "ac"),
    "loses-all": (Page(_THREE), Page(b""), ""),
    "loses-labels": (Page(_THREE), Page(_THREE.replace(b'{x="1"}', b"")), "abc"),
    "loses-times": (Page(_TIMED), Page(b"c 3\n"), "ac"),
    "goes-away": (Page(_THREE), Page(_THREE, status="503 Service Unavailable"), ""),
    "breaks": (Page(_THREE), Page(b"a{\n" + _THREE), ""),
    "breaks-later": (Page(_THREE), Page(_THREE + b"a{\n"), ""),
    "changes-its-type": (Page(_THREE), Page(_THREE, "text/html"), ""),
}
"""What they serve first, and then; and the metrics that are left."""

KEPT_BY_PROMETHEUS = "breaks-later"
"""Prometheus 3.5 forgets to mark the series before the line that it cannot read."""


def test_prometheus_and_the_source_keep_the_same_of_every_page(both: Both) -> None:
    # The pages stay as they are; a machine that is busy lets some scrape or other take too long.
    equal: set[str] = set()

    def differences() -> str:
        errors = both.errors_of_prometheus()
        real, ours = both.of_prometheus(), both.of_source()
        equal.update(name for name in errors if "deadline" not in errors[name] and real.get(name) == ours.get(name))
        return "\n".join(
            f"{name}: only in Prometheus {only_in(real, ours, name)}; only in the source {only_in(ours, real, name)}"
            for name in sorted(errors.keys() - equal)
        )

    wait_until(lambda: not differences(), differences)
    assert len(equal) > 100


def test_what_is_gone_from_a_page_is_gone_from_both(both: Both) -> None:
    both.served.pages |= {name: after for name, (_, after, _) in CHANGING.items()}

    def left(found: dict[str, Series]) -> dict[str, str]:
        metrics = {name: [dict(labels)["__name__"] for labels in found[name]] for name in CHANGING}
        return {name: "".join(sorted({*names} & {*"abc"})) for name, names in metrics.items()}

    expected = {name: metrics for name, (*_, metrics) in CHANGING.items()}
    wait_until(lambda: left(both.of_source()) == expected, lambda: left(both.of_source()))

    def left_in_prometheus() -> dict[str, str]:
        return left(both.of_prometheus()) | {KEPT_BY_PROMETHEUS: expected[KEPT_BY_PROMETHEUS]}

    wait_until(lambda: left_in_prometheus() == expected, left_in_prometheus)


def test_prometheus_and_the_scraper_request_the_same(both: Both) -> None:
    ours, real = (both.served.asked[name] for name in ("python-requests", "Prometheus"))
    for header in ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING"):
        assert ours[header] == real[header]
    assert float(ours["HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"]) > 0
