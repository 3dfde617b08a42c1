"""Addresses of names: cached, in turns, failing ones last."""

import pytest

from obswarm.http import dns_cache as module
from obswarm.http.dns_cache import Address, DnsCache
from obswarm.http.errors import ConnectError

V4, V6 = 2, 10


@pytest.fixture
def world(monkeypatch):
    """A clock, and what a look-up answers; `world["asked"]` counts look-ups."""
    world = {"now": 100.0, "asked": 0, "answer": [Address(V4, ("10.0.0.1", 80))]}

    def look_up(host: str, port: int) -> list[Address]:
        world["asked"] += 1
        return list(world["answer"])

    monkeypatch.setattr(module, "_look_up", look_up)
    monkeypatch.setattr(module.clock, "monotonic", lambda: world["now"])
    return world


@pytest.mark.parametrize(("ttl", "asked"), [(None, 1), (10.0, 3)])
def test_a_name_is_looked_up_once_or_when_its_time_is_over(world, ttl: float | None, asked: int) -> None:
    names = DnsCache(ttl)
    for second in range(30):
        world["now"] = 100.0 + second
        assert names.addresses("a.test", 80) == world["answer"]
    assert world["asked"] == asked


def test_addresses_of_the_preferred_family_take_turns_and_the_others_come_last(world) -> None:
    one, two, old = Address(V6, "1"), Address(V6, "2"), Address(V4, "3")
    world["answer"] = [one, two, old]
    names = DnsCache()
    assert [names.addresses("a.test", 80) for _ in range(3)] == [[one, two, old], [two, one, old], [one, two, old]]


def test_an_address_that_failed_is_tried_last_for_a_while(world) -> None:
    one, two = Address(V4, "1"), Address(V4, "2")
    world["answer"] = [one, two]
    names = DnsCache()
    names.addresses("a.test", 80)
    names.note_failure("a.test", 80, one)
    assert [names.addresses("a.test", 80)[0] for _ in range(4)] == [two] * 4
    world["now"] += 60
    assert {names.addresses("a.test", 80)[0] for _ in range(2)} == {one, two}


def test_literal_addresses_need_no_look_up() -> None:
    assert module._look_up("127.0.0.1", 80) == [Address(V4, ("127.0.0.1", 80))]
    assert module._look_up("::1", 80) == [Address(V6, ("::1", 80))]


def test_what_cannot_be_a_name() -> None:
    with pytest.raises(ConnectError, match="cannot be resolved"):
        module._look_up("a" * 70 + ".test", 80)


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "\ud83d", "x." + "ä" * 100])
def test_what_cannot_be_a_name_fails_with_a_reason_and_nothing_is_printed(capfd, host: str) -> None:
    with pytest.raises(ConnectError, match="cannot be resolved: ") as caught:
        DnsCache().addresses(host, 80)
    assert len(str(caught.value)) < 300
    assert capfd.readouterr().err == ""
