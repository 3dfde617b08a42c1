"""HttpUser's session is requests': whatever a call is and its session has been made to be, target and load test see what
they see with requests, and it makes no difference which way the call takes."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.http.session_call_cases import (
    ANSWERS,
    BODIES,
    CALLS,
    CHANGES,
    HEADERS,
    METHODS,
    PARAMS,
    UNUSUAL_CHANGES,
    put,
)
from tests.support.session_calls import ROUNDS, Seen, SessionCall, seen_by_http_session, seen_by_requests


@pytest.mark.parametrize("name", CALLS)
def test_a_session_does_what_a_session_of_requests_does(name: str) -> None:
    call = CALLS[name]
    expected = seen_by_requests(call)
    seen, plain, heads = seen_by_http_session(call, at_once=False)
    at_once, plain_at_once, heads_at_once = seen_by_http_session(call, at_once=True)
    for number in range(ROUNDS):
        for observed in (seen[number], at_once[number]):
            same = {key: value for key, value in observed.items() if key not in call.differs}
            assert same == {key: value for key, value in expected[number].items() if key not in call.differs}
        if "request" not in call.differs:
            assert seen[number] == at_once[number]
    # To the byte, whichever way; files have a boundary that is made up.
    if "request" not in call.differs:
        assert heads == heads_at_once
    if "error" not in seen[-1]:
        assert plain_at_once[-1] == call.is_plain
        if call.set_up is None:
            assert plain[-1] == call.is_plain


def test_there_are_calls_of_many_kinds() -> None:
    assert len(CALLS) >= 400


_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
_VALUES = st.one_of(
    st.none(), _TEXTS, st.integers(), st.booleans(), st.floats(allow_nan=False), st.lists(_TEXTS, max_size=2)
)
_FIELDS = st.dictionaries(_TEXTS, _VALUES, max_size=3)
_ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "params": st.one_of(_FIELDS, st.sampled_from([*PARAMS.values()])),
        "headers": st.sampled_from([*HEADERS.values()]),
        "cookies": st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "2"])),
        "auth": st.sampled_from([None, ("u", "p"), ("ü", "")]),
        "allow_redirects": st.booleans(),
    },
)


def _is_sent(value: Any) -> bool:
    return value is not None and value != []


_BODY = st.one_of(
    # A form of which nothing is left has a case of its own.
    st.fixed_dictionaries({"data": _FIELDS.filter(lambda fields: not fields or any(map(_is_sent, fields.values())))}),
    st.fixed_dictionaries({"json": st.recursive(_VALUES, lambda inner: st.lists(inner, max_size=2))}),
    st.sampled_from([*BODIES.values()]),
)
_PATHS = st.one_of(
    st.sampled_from(["/asked", "/asked?a=1", "/other", "/moved"]),
    st.text(st.sampled_from("/.?&=%;:@!'()*+,~-_aZ09 ü[]|#"), max_size=10).map("/asked/".__add__),
)
# A stream that is closed first and read then is another thing with each transport.
_UNUSUAL_CHANGES = [change for what, change in UNUSUAL_CHANGES.items() if what != "streams"]
_CHANGES = [None] * 20 + [*CHANGES.values(), *_UNUSUAL_CHANGES, put("auth", None)]
_ANSWERS = {
    "/other": ANSWERS["two cookies"],
    "/moved": (b"HTTP/1.1 302 Found\r\nLocation: /there\r\nSet-Cookie: m=1\r\nContent-Length: 0\r\n\r\n",),
    "/there": ANSWERS["HTML in UTF-8"],
}


def _as_set_up(change: Any) -> Any:
    def set_up(session: Any, url: str, number: int) -> None:
        # What an earlier change has taken away cannot be changed.
        with suppress(LookupError, AttributeError, RuntimeError):
            change(session)

    return None if change is None else set_up


@st.composite
def calls(draw: st.DrawFn) -> SessionCall:
    method = draw(st.sampled_from(METHODS))
    body = draw(_BODY) if method in ("POST", "PUT", "DELETE") else {}
    change = draw(st.sampled_from(_CHANGES))
    return SessionCall(
        method,
        path=draw(_PATHS),
        arguments={**draw(_ARGUMENTS), **body},
        set_up=_as_set_up(change),
        answers=_ANSWERS,
    )


@given(st.lists(calls(), min_size=2, max_size=5))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_sequence_of_any_calls_and_changes_is_the_same_to_requests(steps: list[SessionCall]) -> None:
    expected = seen_by_requests(*steps)
    seen, _, heads = seen_by_http_session(*steps, at_once=False)
    at_once, _, heads_at_once = seen_by_http_session(*steps, at_once=True)
    assert not _differences(at_once, seen)
    assert heads_at_once == heads
    assert not _differences(at_once, expected)


def _differences(seen: list[Seen], expected: list[Seen]) -> list[str]:
    return [
        f"call {number}, {name}: {ours.get(name)}, and with requests {theirs.get(name)}"
        for number, (ours, theirs) in enumerate(zip(seen, expected, strict=True))
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]
