"""What a session of HttpUser makes when it is first used is what requests has."""

import pickle
from typing import Any

import pytest
import requests

from obswarm.api import Environment
from obswarm.api.events import Events
from obswarm.http import HttpSession
from obswarm.stats import Recorder

NAMES = ("headers", "cookies", "hooks", "proxies", "params")


def session(kind: type[HttpSession] = HttpSession) -> HttpSession:
    return kind(Environment(user_classes=[], events=Events(), recorder=Recorder()), "http://127.0.0.1:1")


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_is_as_in_requests_and_stays_the_same_object(name: str) -> None:
    made, theirs = session(), requests.Session()
    assert name not in vars(made)
    value = getattr(made, name)
    assert type(value) is type(getattr(theirs, name))
    assert dict(value) == dict(getattr(theirs, name))
    assert getattr(made, name) is value
    assert getattr(session(), name) is not value


def test_a_session_sends_all_over_its_own_adapter_until_one_is_mounted() -> None:
    made = session()
    assert made.get_adapter("http://a/") is made.get_adapter("https://a/") is made.fast_adapter
    other = requests.adapters.HTTPAdapter()
    made.mount("http://a/", other)
    assert made.get_adapter("http://a/") is other
    assert list(made.adapters) == ["http://a/", "https://", "http://"]


def test_an_attribute_of_a_subclass_does_not_count_as_in_requests() -> None:
    class Own(HttpSession):
        headers: Any = {"X": "1"}

    assert session(Own).headers == requests.utils.default_headers()


def test_a_pickled_session_has_the_attributes_of_requests() -> None:
    state: Any = session().__getstate__()  # type: ignore[no-untyped-call]
    assert set(requests.Session.__attrs__) == set(state)  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(state["headers"])) == requests.utils.default_headers()
