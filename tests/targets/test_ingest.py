"""What is kept of a target's pages."""

import pytest

from obswarm.targets import Target
from obswarm.targets.exposition import TEXT, ParseError, entries
from obswarm.targets.ingest import PageCount, TargetSeries
from obswarm.targets.series import SeriesStore

TARGET = Target("database", "http://user:secret@127.0.0.1:9187/metrics", "postgres")
WALL_S = 1_700_000_000.0


class Scraped:
    """A target and its store; a scrape a second, on a clock of its own."""

    def __init__(self, names: frozenset[str] | None = None) -> None:
        self.store = SeriesStore(300, names)
        self.series = TargetSeries(self.store, TARGET, {"a", "b"})
        self.now = 0.0

    def scrape(self, page: str) -> None:
        self.now += 1
        self.series.begin()
        self.series.ingest(page, TEXT, entries(page, TEXT), self.now, WALL_S + self.now)
        self.series.add_scrape_series(True, self.now, 0.01)

    def fail(self) -> None:
        self.now += 1
        self.series.begin()
        self.series.mark_stale(self.now)
        self.series.add_scrape_series(False, self.now, 0.01)

    def labels(self, name: str) -> list[dict[str, str]]:
        return [labels for labels, *_ in self.store.latest(name, self.now)]

    def values(self, name: str) -> list[float]:
        return [value for *_, value in self.store.latest(name, self.now)]

    def points(self, name: str) -> list[list[tuple[float, float]]]:
        return [points for _, points in self.store.range(name, self.now, 300)]


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


OWN = {"job": "database", "instance": "127.0.0.1:9187"}


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ("", {}),
        ('x="1"', {"x": "1"}),
        ('device_error="",x="1"', {"x": "1"}),
        ('job="x"', {"exported_job": "x"}),
        ('job=""', {}),
        ('job="x",instance="y"', {"exported_job": "x", "exported_instance": "y"}),
        ('job="x",exported_job="z"', {"exported_job": "z", "exported_exported_job": "x"}),
        ('exported_job="z"', {"exported_job": "z"}),
    ],
)
def test_labels_are_those_of_prometheus(scraped: Scraped, labels: str, kept: dict[str, str]) -> None:
    scraped.scrape(f"a{{{labels}}} 1\n")
    assert scraped.labels("a") == [OWN | kept]


def test_a_series_absent_from_a_page_is_stale_at_once(scraped: Scraped) -> None:
    scraped.scrape("a 1\nb 2\n")
    scraped.scrape("a 3\n")
    assert (scraped.values("a"), scraped.values("b")) == ([3], [])
    assert scraped.points("b") == [[(1, 2)]], "what was before the stale marker is still there for ranges"
    scraped.scrape("a 3\nb 4\n")
    assert scraped.values("b") == [4]
    assert scraped.points("b") == [[(1, 2), (3, 4)]]


@pytest.mark.parametrize("page", [None, "a 5\nb 6\nc{\n", 'a 5\nb{x="1",x="2"} 6\n'])
def test_after_a_failed_scrape_only_the_series_about_the_scrape_remain(scraped: Scraped, page: str | None) -> None:
    scraped.scrape("a 1\nb 2\n")
    assert scraped.values("up") == [1]
    if page is None:
        scraped.fail()
    else:
        scraped.series.begin()
        with pytest.raises(ParseError):
            scraped.series.ingest(page, TEXT, entries(page, TEXT), 2.0, WALL_S + 2)
        scraped.now = 2
        scraped.series.mark_stale(2.0)
        scraped.series.add_scrape_series(False, 2.0, 0.01)
    assert (scraped.values("a"), scraped.values("b"), scraped.values("up")) == ([], [], [0])
    assert scraped.points("a") == [[(1, 1)]], "nothing of the page is kept"
    scraped.scrape("a 7\n")
    assert (scraped.values("a"), scraped.values("b"), scraped.values("up")) == ([7], [], [1])


def test_the_first_of_duplicate_samples_counts(scraped: Scraped) -> None:
    scraped.scrape('a 1\na 2\nb{x="1",y="2"} 3\nb{y="2",x="1"} 4\n')
    assert (scraped.values("a"), scraped.values("b")) == ([1], [3])
    assert scraped.values("scrape_samples_scraped") == [4]


def test_differently_written_bounds_are_the_same_bound(scraped: Scraped) -> None:
    scraped.scrape('# TYPE a histogram\na{le="1"} 1\n')
    scraped.scrape('# TYPE a histogram\na{le="1.0"} 2\n')
    scraped.scrape('# TYPE a histogram\na{le="junk"} 3\na{le="1"} 3\n')
    assert scraped.labels("a") == [OWN | {"le": "1.0"}, OWN | {"le": "junk"}]


def test_samples_with_explicit_timestamps(scraped: Scraped) -> None:
    at_ms = round(WALL_S * 1000)
    scraped.now = 100.0
    scraped.scrape(f"a 1 {at_ms + 90_000}\nb 2 {at_ms + 3_600_000}\nc 3 {at_ms + 105_000}\n")
    scraped.scrape(f"a 1 {at_ms + 90_000}\n")
    assert scraped.points("a") == [[(90, 1)]], "the same sample twice is one"
    assert "b" not in scraped.store.metric_names, "more than ten minutes ahead"
    assert scraped.values("c") == [], "not yet"
    scraped.now = 104.5
    scraped.scrape("\n")
    assert scraped.values("c") == [3]
    assert scraped.values("a") == [1], "no stale marker: Prometheus trusts such times alone"
    scraped.now = 390.0
    assert scraped.values("a") == []


def test_series_about_the_scrape_itself(scraped: Scraped) -> None:
    scraped.scrape("a 1\nb 2\nc 3\n")
    assert scraped.series.count == PageCount(3, 3, 3, 2)
    scraped.scrape("a 1\nb 2\nc 3\nd 4\n")
    found = {
        name: (scraped.labels(name), scraped.values(name))
        for name in scraped.store.metric_names
        if name not in ("a", "b", "c", "d")
    }
    assert found == {
        "up": ([OWN], [1]),
        "scrape_duration_seconds": ([OWN], [0.01]),
        "scrape_samples_scraped": ([OWN], [4]),
        "scrape_samples_post_metric_relabeling": ([OWN], [4]),
        "scrape_series_added": ([OWN], [1]),
    }


def test_only_needed_metrics_are_kept_but_the_whole_page_is_checked() -> None:
    scraped = Scraped(frozenset({"a"}))
    scraped.scrape("a 1\nb 2\nc 3\n")
    assert scraped.store.metric_names == ["a"]
    assert scraped.series.count == PageCount(3, 3, 3, 2)
    with pytest.raises(ParseError):
        scraped.scrape('a 1\nc{x="1",x="2"} 2\n')


def test_short_lived_series_are_forgotten(scraped: Scraped) -> None:
    for number in range(2000):
        scraped.scrape(f'a{{id="{number}"}} 1\n')
    assert len(scraped.series._known) == 1
    assert len(scraped.store._series["a"]) <= 300 + 10 + 2
    for number in range(5000):
        scraped.series.begin()
        page = f'a{{id="{number}"}} 1\nb{{\n'
        with pytest.raises(ParseError):
            scraped.series.ingest(page, TEXT, entries(page, TEXT), scraped.now, WALL_S)
        scraped.series.mark_stale(scraped.now)
    assert len(scraped.series._known) <= 1100
