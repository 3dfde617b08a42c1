"""Requests under way on the wire: what is packed comes out the same, many add up, and garbage is refused."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import EndpointKey, InFlight, count_in_flight
from obswarm.stats.codec import Malformed, merge_columns, pack_in_flight, unpack_columns, unpack_in_flight

REQUESTS = st.lists(
    st.tuples(st.sampled_from(["GET", ""]), st.sampled_from(["/", "/ä", "/b"]), st.floats(0, 9000), st.booleans())
)


def facts(found: dict[EndpointKey, InFlight]):
    return {key: (each.count, each.oldest_s, each.ages) for key, each in found.items()}


@given(st.lists(REQUESTS, max_size=4))
def test_processes_add_up_to_what_one_process_would_have_counted(processes) -> None:
    parts = [unpack_columns(pack_in_flight(count_in_flight(requests, 9000.0, 100))) for requests in processes]
    alone = count_in_flight([request for requests in processes for request in requests], 9000.0, 100)
    assert facts(merge_columns(parts, 100)) == facts(alone)


def test_the_limit_of_endpoints_holds_over_processes_as_well() -> None:
    parts = [
        unpack_columns(pack_in_flight(count_in_flight([("GET", f"/{process}/{number}", 0, False) for number in range(5)], 1, 9)))
        for process in range(3)
    ]  # fmt: skip
    found = merge_columns(parts, 4)
    assert len(found) == 4
    assert sum(each.count for each in found.values()) == 15


def test_no_requests_in_flight_are_encoded_as_no_bytes() -> None:
    assert pack_in_flight({}) == b""
    assert unpack_in_flight(b"") == {}


GOOD = [["GET", "/", ""], [2], [1.5], [3_000_000_000], (5).to_bytes(4, "little")]


def test_the_example_of_the_bad_ones_is_a_good_one() -> None:
    (found,) = unpack_in_flight(msgpack.packb(GOOD)).values()
    assert (found.count, found.oldest_s, found.ages.count) == (2, 1.5, 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, ["GET"]), (0, ["GET", "/"]), (0, ["GET", 7, ""]), (0, ["GET", "x" * 20_001, ""]), (0, "GE"), (0, None),
        (1, [0]), (1, [-1]), (1, [True]), (1, [2**40]), (1, [1.0]), (1, []), (1, [1, 1]), (1, 1),
        (2, [-0.5]), (2, [float("nan")]), (2, [float("inf")]), (2, [1]), (2, ["1"]),
        (3, [-1]), (3, [2**63 + 1]), (3, [1.0]),
        (4, b"\0"), (4, b"\0" * 12), (4, (1024).to_bytes(4, "little")), (4, "text"), (4, 3),
    ],
)  # fmt: skip
def test_what_no_process_would_send_is_refused(column: int, value: object) -> None:
    rows = [*GOOD]
    rows[column] = value
    with pytest.raises(Malformed):
        unpack_in_flight(msgpack.packb(rows))


@given(st.binary())
def test_garbage_is_refused(packed: bytes) -> None:
    try:
        found = unpack_in_flight(packed)
    except Malformed:
        return
    assert all(each.count > 0 for each in found.values())
