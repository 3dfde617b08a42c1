"""Which scrapers the end of a run waits for, with simulated scrape times."""

from itertools import count

import pytest

from obswarm.metrics.scrapers import Client, Scrapers, client_of

PROMETHEUS = Client("10.0.0.1", "", "Prometheus/3.5.0", "1")
PATIENT = PROMETHEUS._replace(timeout="10")
BROWSER = Client("10.0.0.9", "", "Mozilla/5.0", "")
LONGEST_S = 20.0
NEW_PORTS = (str(port) for port in count(50000))


class Scraper:
    """Comes at an interval, over a connection that it keeps (`port`), or over a new one each time."""

    def __init__(self, client: Client, interval_s: float, first_s: float = 0.0, port: str | None = None) -> None:
        self.client, self.interval_s, self.first_s, self.port = client, interval_s, first_s, port

    def times(self, until_s: float) -> list[float]:
        number = int((until_s - self.first_s) / self.interval_s) + 1
        return [self.first_s + self.interval_s * each for each in range(number)]


def waited_s(scrapers: list[Scraper], ended_s: float, missed: float = 1000.0) -> tuple[float, set[int]]:
    """For how long, and who of them came meanwhile. Nobody comes any more from `missed` on."""
    known = Scrapers()
    events = sorted(
        (at_s, number)
        for number, each in enumerate(scrapers)
        for at_s in each.times(min(missed, ended_s + 2 * LONGEST_S))
    )
    came: set[int] = set()
    now = ended_s
    for at_s, number in events:
        if at_s > ended_s:
            until_s = known.wait_until_s(ended_s, LONGEST_S)
            if until_s is None:
                return now - ended_s, came
            if at_s > until_s:
                return until_s - ended_s, came
            came.add(number)
        now = at_s
        each = scrapers[number]
        known.note(each.client, each.port or next(NEW_PORTS), at_s)
    until_s = known.wait_until_s(ended_s, LONGEST_S)
    return (max(now, ended_s) if until_s is None else until_s) - ended_s, came


@pytest.mark.parametrize(
    "scrapers",
    [
        [Scraper(PROMETHEUS, 1, 0.2, "1"), Scraper(PROMETHEUS, 1, 0.9, "2")],
        [Scraper(PROMETHEUS, 1, 0.2, "1"), Scraper(PATIENT, 15, 0.7, "2")],
        [Scraper(PATIENT, 15, 0.7, "1"), Scraper(PATIENT, 30, 2.0, "2")],
        [Scraper(PROMETHEUS, 1, 0.1, "1"), Scraper(PROMETHEUS._replace(address="10.0.0.2"), 5, 0.9, "1")],
        [Scraper(PROMETHEUS, 1, 0.1), Scraper(PROMETHEUS._replace(forwarded_for="10.1.1.1"), 5, 0.9)],
        # One proxy in front of all, which keeps no connections, or puts all requests on one.
        [Scraper(PROMETHEUS, 1, 0.1), Scraper(PROMETHEUS, 1, 0.4)],
        [Scraper(PROMETHEUS, 1, 0.0), Scraper(PROMETHEUS, 1, 0.5)],
        [Scraper(PROMETHEUS, 1, 0.1, "1"), Scraper(PROMETHEUS, 1, 0.45, "1"), Scraper(PROMETHEUS, 1, 0.6, "1")],
        [Scraper(PROMETHEUS, 1, 0.1), Scraper(PROMETHEUS, 5, 0.4)],
    ],
)
@pytest.mark.parametrize("ended_s", [60.05, 60.3, 60.55, 60.95])
def test_every_scraper_scrapes_after_the_end(scrapers, ended_s: float) -> None:
    waited, came = waited_s(scrapers, ended_s)
    assert came == set(range(len(scrapers)))
    assert waited <= max(each.interval_s for each in scrapers) + 0.001, "as soon as the last one has come"


@pytest.mark.parametrize("port", ["1", None])
def test_one_scraper_is_waited_for_once(port) -> None:
    waited, came = waited_s([Scraper(PROMETHEUS, 1, 0.5, port)], 30.0)
    assert (waited, came) == (pytest.approx(0.5), {0})


def test_the_wait_for_a_scraper_that_has_gone_is_short() -> None:
    ha = [Scraper(PROMETHEUS, 1, 0.5, "1"), Scraper(PROMETHEUS, 1, 0.8, "2")]
    assert waited_s(ha, 30.0, missed=29.9) == (2.5, set())
    assert waited_s(ha, 30.0, missed=20.0) == (0.0, set()), "it went long before the end"
    assert waited_s([Scraper(PATIENT, 60, 0.5, "1")], 130.0, missed=125.0) == (LONGEST_S, set())


def test_a_single_request_is_no_scraper() -> None:
    known = Scrapers()
    known.note(BROWSER, "1", 9.0)
    assert known.wait_until_s(10.0, LONGEST_S) is None
    known.note(PROMETHEUS, "1", 9.5)
    assert known.wait_until_s(10.0, LONGEST_S) == 30.0, "its interval is not known yet"
    known.note(PROMETHEUS, "2", 10.2)
    assert known.wait_until_s(10.0, LONGEST_S) is None


@pytest.mark.parametrize("ports", [("1", "2"), ("1", "1")])
def test_two_scrapes_within_one_scrape_timeout_are_two_scrapers(ports) -> None:
    """In a run that is too short to see more of them."""
    known = Scrapers()
    for at_s, port in zip((9.1, 9.6), ports, strict=True):
        known.note(PROMETHEUS, port, at_s)
    for at_s in (10.1, 10.6):
        assert known.wait_until_s(10.0, LONGEST_S) == 30.0, "their interval is not known yet"
        known.note(PROMETHEUS, ports[at_s == 10.6], at_s)
    assert known.wait_until_s(10.0, LONGEST_S) is None


def test_a_connection_that_takes_the_place_of_another_is_the_same_scraper() -> None:
    known = Scrapers()
    for at_s, port in enumerate(["1", "1", "1", "1", "2"]):
        known.note(PROMETHEUS, port, float(at_s))
    assert known.wait_until_s(4.5, LONGEST_S) == 7.0
    known.note(PROMETHEUS, "2", 5.0)
    assert known.wait_until_s(4.5, LONGEST_S) is None
    known = Scrapers()
    for at_s, port in enumerate(["1", "1", "1", "1", "2"]):
        known.note(PROMETHEUS, port, float(at_s))
    assert known.wait_until_s(3.5, LONGEST_S) is None, "it came over the new one"


def test_a_scrape_that_began_before_the_end_has_not_seen_it() -> None:
    known = Scrapers()
    for at_s in (1.0, 2.0, 3.0):
        known.note(PROMETHEUS, "1", at_s)
    assert known.wait_until_s(3.0, LONGEST_S) == 5.5


def test_the_number_of_remembered_clients_is_bounded() -> None:
    known = Scrapers()
    for number in range(1000):
        known.note(BROWSER._replace(agent=f"agent {number}"), "1", float(number))
        known.note(PROMETHEUS, str(number), float(number))
    assert len(known._scrapes) == 64
    assert max(map(len, known._scrapes.values())) == 32
    assert known.wait_until_s(999.5, LONGEST_S) == 1002.0, "who comes often is not forgotten"


def test_the_client_is_identified_by_headers_of_the_request() -> None:
    environ = {
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "4711",
        "HTTP_USER_AGENT": "Prometheus/3.5.0",
        "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS": "1",
    }
    assert client_of(environ) == (PROMETHEUS, "4711")
    assert [Client("", "", "", text).shortest_interval_s for text in ("2.5", "", "soon")] == [2.5, 0.0, 0.0]
