"""What is packed comes out as it was."""

import math

from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import EndpointKey, EndpointStats
from obswarm.stats.codec import pack_row, unpack_row
from obswarm.stats.endpoint import FIELDS
from obswarm.store.pack import Names, pack, pack_values, unpack, unpack_values

KEY = EndpointKey("GET", "/")
_requests = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(0, 4000)),
        st.integers(0, 2**70),
        st.sampled_from(["2xx", "3xx", "5xx", "error"]),
        st.booleans(),
    ),
    max_size=60,
)


@given(_requests, st.booleans())
def test_an_endpoint(requests: list[tuple[float | None, int, str, bool]], are_late: bool) -> None:
    stats = EndpointStats(KEY)
    for request in requests:
        stats.record(*request)
    if are_late:
        stats.count_all_as_late()
    found = unpack_row(unpack(pack(pack_row(stats))), KEY)
    assert found.failures == stats.failures
    for field in FIELDS:
        assert getattr(found, field.name) == getattr(stats, field.name), field.name


@given(st.dictionaries(st.integers(0, 1000), st.floats(allow_nan=False)))
def test_values(values: dict[int, float]) -> None:
    assert dict(unpack_values(pack_values(values))) == values


def test_a_figure_that_is_gone() -> None:
    assert math.isnan(dict(unpack_values(pack_values({3: math.nan})))[3])


def test_names_have_the_numbers_that_they_had() -> None:
    names = Names()
    assert [
        names.number("endpoint", "GET", "/"),
        names.number("worker", "w"),
        names.number("endpoint", "GET", "/"),
    ] == [
        0,
        1,
        0,
    ]
    again = Names()
    again.restore(names.fresh)
    assert again.number("worker", "w") == 1
    assert again.number("worker", "v") == 2
    assert [number for number, _ in again.fresh] == [2]
