"""The comparison of two programs finds what differs, and only that; its tables fit the corpus and the documentation."""

import re
from pathlib import Path

import pytest

from tests.locust_compat import recorded
from tests.locust_compat.comparison import LEAST_PROBABILITY, differences, probability_of
from tests.locust_compat.corpus import Case, all_cases
from tests.locust_compat.intended import INTENDED, OF_CASES, Intended, file_of, of_case
from tests.support.programs import ROOT

EXACT = Case("exact", Path("exact.py"), (), {}, by_proportions=False, any_order=False)
RANDOM = Case("random", Path("random.py"), (), {}, by_proportions=True, any_order=False)


def test_equal_observations_do_not_differ() -> None:
    observation = {
        "exit_code": 0,
        "requests": ["GET /a", "GET /b"],
        "csv": {"stats": {"rows": ["GET | /a | 1"]}},
        "json": None,
    }
    assert differences(EXACT, observation, observation) == []


@pytest.mark.parametrize(
    ("locust", "obswarm", "found"),
    [
        ({"exit_code": 0}, {"exit_code": 1}, ("exit_code", "0", "1")),
        ({"requests": ["GET /a"]}, {"requests": []}, ("requests", "GET /a", "")),
        ({"requests": []}, {"requests": ["GET /a"]}, ("requests", "", "GET /a")),
        ({"requests": ["GET /a", "GET /a"]}, {"requests": ["GET /a"]}, ("requests", "GET /a", "")),
        (
            {"requests": ["GET /a | x-b: 1"]},
            {"requests": ["GET /a | x-b: 2"]},
            ("requests", "GET /a | x-b: 1", "GET /a | x-b: 2"),
        ),
        ({"requests": ["a", "b"]}, {"requests": ["b", "a"]}, ("requests, order", "['a', 'b']", "['b', 'a']")),
        ({"requests": {"GET /a": 3}}, {"requests": {"GET /a": 4}}, ("requests: GET /a", "3", "4")),
        ({"csv": {"stats": None}}, {"csv": {"stats": {"rows": []}}}, ("csv: stats", "None", "{'rows': []}")),
        ({"said": ["a | [true]"]}, {"said": ["a | [1]"]}, ("said", "a | [true]", "a | [1]")),
        ({"json": 1}, {"json": True}, ("json", "1", "True")),
    ],
)
def test_what_differs_is_found(
    locust: dict[str, object], obswarm: dict[str, object], found: tuple[str, str, str]
) -> None:
    assert differences(EXACT, locust, obswarm) == [found]


def test_counts_that_come_from_chance_are_compared_by_proportions() -> None:
    three_to_one = {"requests": {"GET /a": 598, "GET /b": 202}}
    assert differences(RANDOM, three_to_one, {"requests": {"GET /a": 615, "GET /b": 185}}) == []
    ((where, _, _),) = differences(RANDOM, three_to_one, {"requests": {"GET /a": 480, "GET /b": 320}})
    assert where == "requests by kind"
    (in_all, *_), _ = differences(RANDOM, three_to_one, {"requests": {"GET /a": 800, "GET /b": 1}})
    assert in_all == "requests in all"
    assert len(differences(RANDOM, three_to_one, {"requests": {}})) == 2


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    # Chi-square of 3.84 with one degree of freedom, and of 5.99 with two, are exceeded in 5 of 100 cases.
    [
        ({"a": 500, "b": 500}, {"a": 543.8, "b": 456.2}, 0.05),
        ({"a": 100, "b": 100, "c": 100}, {"a": 124.3, "b": 75.7, "c": 100}, 0.05),
    ],
)
def test_the_probability_is_that_of_the_chi_square_distribution(
    one: dict[str, int], other: dict[str, int], expected: float
) -> None:
    assert probability_of(one, other) == pytest.approx(expected, rel=0.15)
    assert probability_of(one, one) > 0.9
    assert probability_of(one, {"a": 1000}) < LEAST_PROBABILITY


def test_an_intended_difference_explains_itself_alone() -> None:
    entry = Intended(
        r"csv: rows", r"(?P<name>\w+) \| 1", r"(?P=name) \| 2", "counted twice", seen_in="one", cases="o.*"
    )
    assert entry.explains("one", ("csv: rows", "page | 1", "page | 2"))
    assert entry.explains("other", ("csv: rows", "page | 1", "page | 2"))
    assert not entry.explains("two", ("csv: rows", "page | 1", "page | 2"))
    assert not entry.explains("one", ("csv: rows", "page | 1", "home | 2"))
    assert not entry.explains("one", ("csv: columns", "page | 1", "page | 2"))


def test_every_case_has_its_record_and_every_record_its_case() -> None:
    assert {recorded.file_of(case) for case in all_cases()} == set(recorded.FOLDER.iterdir())


def test_every_difference_has_its_reason_and_its_case() -> None:
    names = {case.name for case in all_cases()}
    assert {entry.seen_in for entry in INTENDED} <= names
    assert set(OF_CASES) <= names
    assert {file_of(case) for case in OF_CASES} == set(file_of("any").parent.iterdir())
    assert all(map(of_case, OF_CASES)), "a case that does not differ needs no reason"


@pytest.mark.parametrize("documented", sorted({entry.documented for entry in (*INTENDED, *OF_CASES.values())}))
def test_every_difference_is_documented(documented: str) -> None:
    documentation = (ROOT / "docs" / "coming-from-locust.md").read_text(encoding="utf-8")
    assert documented in re.sub(r"\s+", " ", documentation)
