"""Errors that differ only in numbers, ids, addresses or quoted values are one kind; counts stay exact."""

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm import defaults
from obswarm.sanitize import is_clean
from obswarm.stats import OTHER_ERRORS, ErrorKey, ErrorStats, Recorder, StatsTable, TaskException
from obswarm.stats import normalise_error as recorded
from obswarm.stats.codec import DeltaSum, pack_table
from obswarm.stats.error_kinds import CommonForms


def common_form(text: str) -> str:
    """Of a text that is alone."""
    return CommonForms([text]).form_of(text)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("expected 5 items, got 17", "expected 12 items, got 3"),
        ("took 0.123456789 s", "took 12.5 s"),
        ("took 350ms", "took 1203.5ms"),
        ("balance -5", "balance 1,234.50"),
        ("value 9.8e-05 is too small", "value 0.3 is too small"),
        ("at 12:30:05", "at 08:01:59"),
        ("order 17 is gone", "order 123456789012 is gone"),
        ("item ab12cd34 not found", "item 9f not found"),
        ("no session deadbeefcafe", "no session 0123abcd"),
        ("no session 0123456789abcdef0123", "no session a1b2"),
        (f"job {uuid.UUID(int=5)} failed", f"job {uuid.UUID(int=77 << 90)} failed"),
        ("user_42 has left", "user_7 has left"),
        ("user 'alice smith' is unknown", "user 'bob' is unknown"),
        ('no key "a" in {"b": 1}', 'no key "it\'s" in {"b": 2}'),
        ("KeyError: 'alice'", "KeyError: 'bob'"),
        ("bad bytes b'\\x00\\x01'", "bad bytes b'abc'"),
        ("mail to a.b@example.com bounced", "mail to c@x.example.org bounced"),
        ("10.0.0.1:8080 refused", "192.168.17.254:80 refused"),
        ("[fe80::1] is away", "[2001:db8::17:1] is away"),
        ("<Job object at 0x7f0012345678>", "<Job object at 0x55aa>"),
        ("can't find 5, don't ask", "can't find 66, don't ask"),
        ("HTTP 503 after 3 tries", "HTTP 503 after 14 tries"),
        ("GET http://x/users/17/posts/3 failed", "GET http://x/users/4/posts/999 failed"),
    ],
)
def test_what_differs_only_in_values_has_one_form(one: str, another: str) -> None:
    assert common_form(recorded(one)) == common_form(recorded(another))


@pytest.mark.parametrize(
    "texts",
    [
        (
            "HTTP 404 Not Found (client error)",
            "HTTP 500 Internal Server Error (server error)",
            "HTTP 599 (server error)",
        ),
        ("404 Client Error: Not Found for url: http://x/5", "503 Server Error: busy for url: http://x/5"),
        ("expected 200, got 404", "expected 200, got 500", "expected 201, got 404"),
        ("expected 200 but got 404 for order 1", "expected 200 but got 500 for order 2"),
        ("expected 200, got 404 at 17", "expected 200, got 302 at 18", "expected 200, got 0 at 19"),
        ("http://h/x/1 answered with 403", "http://h/x/2 answered with 503"),
        ("code 404 n5", "code 403 n6"),
        ("failed with 403 after 5", "failed with 499 after 6", "failed with 521 after 6"),
        ("response 500 != 200", "response 502 != 200"),
        ("status code 502", "status code 503", "status code 504"),
        ("status=500", "status=501"),
        ("unexpected status: 418", "unexpected status: 451"),
        ("500", "503"),
        ("got 503", "got 502"),
        ("Connection refused by 10.0.0.1", "Connection reset by 10.0.0.1"),
        ("order 5 is gone", "order 5 is locked", "cart 5 is gone"),
        ("[Errno 111] no", "[Errno 104] no"),
        (
            'MaxRetryError("HTTPConnectionPool: Connection refused to port 80")',
            'MaxRetryError("HTTPConnectionPool: Read timed out at port 80")',
        ),
        ("the users' data and the hosts' names", "the users' names and the hosts' names"),
    ],
)
def test_statuses_and_words_stay_apart(texts: tuple[str, ...]) -> None:
    assert len({common_form(text) for text in texts}) == len(texts)


pieces = st.sampled_from(
    ["order", " ", "'", '"', "0x1f", "0x…", "<number>", "<id>", "…", "17", "-3", ".", ":", "a1b2", "HTTP 503", "got 404",
     "::1", "10.0.0.1", "_", "(", ")", "E(", "é", "[", "]", "5ms", "x@y.z", "` `", "“", "”", "\\", "404 Not", "1e5", "%"]
)  # fmt: skip


@given(st.lists(pieces, max_size=20).map("".join) | st.text(max_size=60))
def test_the_form_of_a_form_is_the_form_itself(text: str) -> None:
    form = common_form(recorded(text))
    assert common_form(form) == form
    assert is_clean(form)


@pytest.mark.parametrize(
    "text", ["7 " * 249, "'a' " * 120, "a" * 5000 + "1", "'" * 499, "a1b2" * 100, "a." * 200 + "@"]
)
def test_forms_of_long_texts_are_short_and_soon_there(text: str) -> None:
    form = common_form(recorded(text))
    assert len(form) <= defaults.MAX_ERROR_LENGTH
    assert common_form(form) == form


def table_of(*messages: str, name: str = "/", at_s: float = 1.0) -> StatsTable:
    table = StatsTable()
    for number, message in enumerate(messages):
        table.count_error(ErrorKey("GET", name, message), ErrorStats(1, at_s + number, at_s + number))
    return table


def plain(table: StatsTable) -> dict:
    return {
        tuple(key): (seen.count, seen.first_seen_s, seen.last_seen_s, seen.example)
        for key, seen in table.errors.items()
    }


def test_ten_kinds_stay_as_they_are_and_eleven_are_grouped_with_an_example() -> None:
    ten = [f"order {number} is gone" for number in range(10)]
    assert plain(table_of(*ten)) == {("GET", "/", text): (1, 1.0 + i, 1.0 + i, "") for i, text in enumerate(ten)}
    assert plain(table_of(*ten, "order 10 is gone")) == {
        ("GET", "/", "order <number> is gone"): (11, 1.0, 11.0, "order 0 is gone")
    }


def test_one_endpoint_with_many_kinds_does_not_group_those_of_another() -> None:
    table = table_of(*(f"order {number} is gone" for number in range(500)))
    table.merge(table_of("item 1", "item 2", name="/other"))
    assert sorted((key.name, key.message, seen.count) for key, seen in table.errors.items()) == [
        ("/", "order <number> is gone", 500),
        ("/other", "item 1", 1),
        ("/other", "item 2", 1),
    ]


def test_random_numbers_in_failures_are_one_kind_from_the_recorder_on() -> None:
    chance = random.Random(3)
    recorder = Recorder()
    for _ in range(2000):
        recorder.record("GET", "/", 0.01, 1, 200, f"{chance.randrange(10**4)} of {chance.random():.3f} is wrong")
        recorder.record("GET", "/", 0.01, 1, 500, f"HTTP {chance.choice([500, 502])} at {chance.randrange(10**4)}")
    kinds = recorder.take().errors
    assert {key.message: seen.example != "" for key, seen in kinds.items()} == {
        "<number> of <number> is wrong": True,
        "HTTP 500 at <number>": True,
        "HTTP 502 at <number>": True,
    }
    assert sum(seen.count for seen in kinds.values()) == 4000


@pytest.mark.parametrize("most", [600, 10**5])
def test_a_place_in_which_other_numbers_stand_has_no_statuses(most: int) -> None:
    chance = random.Random(5)
    texts = [
        f"got {chance.choice([404, 500])} for {chance.randrange(most)} of {chance.randrange(most)}" for _ in range(3000)
    ]
    assert {key.message: seen.count for key, seen in table_of(*texts).errors.items()} == {
        f"got {status} for <number> of <number>": sum(text.startswith(f"got {status}") for text in texts)
        for status in (404, 500)
    }


def test_kinds_that_come_late_are_told_apart_by_what_was_known_before() -> None:
    """A place is one of numbers from the first other number on, and what was counted before goes there."""
    statuses = [f"order {status} is gone" for status in (400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411)]
    table = table_of(*statuses)
    assert len(table.errors) == 12
    assert plain(table_of(*statuses, "order 7 is gone")) == {
        ("GET", "/", "order <number> is gone"): (13, 1.0, 13.0, "order 400 is gone")
    }


def test_texts_that_are_cut_stay_apart_by_their_statuses_alone() -> None:
    table = table_of(*(f"got {[404, 500][number % 2]} for {number} in {'long ' * 59}" for number in range(20)))
    assert sorted(seen.count for seen in table.errors.values()) == [10, 10]
    assert all(len(key.message) <= defaults.MAX_ERROR_LENGTH for key in table.errors)


@pytest.mark.parametrize(
    "made",
    [
        lambda chance: f"no such {uuid.UUID(int=chance.getrandbits(128))}",
        lambda chance: f"obj 0x{chance.getrandbits(32) | 1 << 31:x} commit {chance.getrandbits(156) | 1 << 155:040x}",
        lambda chance: f"order {chance.randrange(10**8, 10**9)} is gone",
        lambda chance: RuntimeError(f"{uuid.UUID(int=chance.getrandbits(128))} of {'a' * 250}"),
    ],
)
def test_a_kind_without_its_ids_has_a_whole_text_as_example_and_groups_nothing(made) -> None:
    chance = random.Random(7)
    recorder = Recorder(wall_clock=lambda: 1.0)
    errors = [made(chance) for _ in range(30)]
    for error in errors:
        recorder.record("GET", "/", 0.01, 1, 500, error)
        recorder.record("GET", "/", 0.01, 1, 500, "order 5 is gone")
    summed = DeltaSum()
    summed.add(pack_table(recorder.take()))
    table = summed.take(1000)
    kinds = {key.message: (seen.count, seen.example) for key, seen in table.errors.items()}
    assert kinds.pop("order 5 is gone") == (30, "")
    assert [count for count, _ in kinds.values()] == [30]
    (example,) = (example for _, example in kinds.values())
    assert example.endswith(str(errors[0]))


messages = st.builds(
    "{} {} {}".format,
    st.sampled_from(["order", "cart", "HTTP 503 for", "got 404 for", "got 500 for", "got 7 for"]),
    st.integers(0, 8) | st.sampled_from([200, 404]),
    st.sampled_from(["gone", "late"]),
)
tables = st.lists(st.lists(messages, max_size=25), min_size=1, max_size=6)


@given(tables=tables, order=st.randoms(use_true_random=False), sent=st.sets(st.integers(0, 5)))
def test_however_workers_have_grouped_the_sum_is_the_same_and_exact(tables, order, sent) -> None:
    """Some deltas go over the wire, some through a relay that has added others up."""
    parts = [table_of(*each, at_s=100.0 * number) for number, each in enumerate(tables)]
    everything = table_of(*(text for each in tables for text in each))

    def added(parts: list[StatsTable]) -> StatsTable:
        whole = StatsTable()
        for number, part in enumerate(parts):
            if number in sent:
                summed = DeltaSum()
                summed.add(pack_table(part))
                part = summed.take(1000)
            whole.merge(part)
        return whole

    straight = added(parts)
    shuffled = list(parts)
    order.shuffle(shuffled)
    cut = order.randrange(len(parts) + 1)
    relayed = added([added(shuffled[:cut]), added(shuffled[cut:])])
    assert plain(straight) == plain(relayed)
    assert {key: seen.count for key, seen in straight.errors.items()} == {
        key: seen.count for key, seen in everything.errors.items()
    }
    assert sum(seen.count for seen in straight.errors.values()) == sum(map(len, tables))
    kinds = {text for each in tables for text in each}
    assert (len(kinds) > 10) == any(seen.example for seen in straight.errors.values())


def test_more_kinds_than_a_run_may_have_are_counted_all_the_same() -> None:
    table = StatsTable(max_errors=20)
    for number in range(40):
        for kind in range(3):
            table.count_error(ErrorKey("GET", f"/{number}", f"order {kind}"), ErrorStats(1, 1.0, 1.0))
    assert sum(seen.count for seen in table.errors.values()) == 120
    assert table.errors[OTHER_ERRORS].count == 100
    assert len(table.errors) == 21


def test_exceptions_with_random_numbers_are_one_kind_with_a_traceback() -> None:
    table = StatsTable()
    for number in range(50):
        table.count_exception(TaskException(f"KeyError: {number}", f"Traceback of {number}"))
    table.count_exception(TaskException("ValueError: no", "Traceback of another"))
    assert {key: (found.message, found.traceback, found.count) for key, found in table.exceptions.items()} == {
        "KeyError: <number>": ("KeyError: <number>", "Traceback of 0", 50),
        "ValueError: no": ("ValueError: no", "Traceback of another", 1),
    }
