"""Whatever a target does, both clients see of it what plain requests sees, count it once under what was asked for, and
leave the request that follows alone."""

from functools import cache

import pytest

from tests.integration.http.differential_cases import CASES
from tests.support.differential import Seen, expected_count, seen_by, seen_by_requests


@cache
def by_requests(name: str) -> Seen:
    return seen_by_requests(CASES[name])


@pytest.mark.parametrize("client", ["fast", "http"])
@pytest.mark.parametrize("name", CASES)
def test_a_client_sees_what_requests_sees(name: str, client: str) -> None:
    case = CASES[name]
    seen, counted, texts = seen_by(client, case)
    expected = by_requests(name).expected_of(case, client)
    assert seen == expected
    assert counted == expected_count(client, case, expected)
    assert len(texts) == sum(failures for _, failures in counted.values())
