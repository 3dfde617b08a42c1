"""The cookie jar of FastHttpUser does what that of requests does."""

import copy
import pickle
from collections.abc import Callable
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.cookies import CookieConflictError, RequestsCookieJar, create_cookie

from obswarm.http.client.cookie_jar import DictCookieJar
from obswarm.http.client.cookies import Cookies

Step = Callable[[Any], object]

names = st.sampled_from(["a", "b"])
values = st.sampled_from(["1", "", '"quoted \\"text\\""', None])
domains = st.sampled_from(["", ".shop.test", "shop.test"])
paths = st.sampled_from(["/", "/cart"])


def _value(jar: Any, name: str) -> object:
    return jar[name]


def _given(jar: Any, name: str, value: str | None, domain: str, path: str) -> object:
    jar.set_cookie(create_cookie(name, value, domain=domain, path=path))
    return None


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda n, v, d, p: lambda jar: bool(jar.set(n, v, domain=d, path=p)), names, values, domains, paths),
    st.builds(lambda n, v, d, p: lambda jar: _given(jar, n, v, d, p), names, values, domains, paths),
    st.builds(lambda n, v: lambda jar: jar.__setitem__(n, v), names, values),
    st.builds(lambda n: lambda jar: jar.__delitem__(n), names),
    st.builds(lambda n: lambda jar: _value(jar, n), names),
    st.builds(lambda n, d: lambda jar: jar.get(n, "none", domain=d), names, domains),
    st.builds(lambda n: lambda jar: n in jar, names),
    st.builds(lambda n: lambda jar: jar.pop(n, "none"), names),
    st.builds(lambda n, v: lambda jar: jar.update({n: v}), names, values),
    st.builds(lambda d, p: lambda jar: jar.get_dict(d, p), st.none() | domains, st.none() | paths),
)


def seen(jar: Any, step: Step) -> object:
    """What a step returns, or raises."""
    try:
        return step(jar)
    except (KeyError, CookieConflictError) as error:
        return type(error), str(error)


@given(st.lists(steps, max_size=8))
def test_steps_have_the_effects_that_they_have_in_requests(taken: list[Step]) -> None:
    ours, theirs = DictCookieJar(), RequestsCookieJar()
    for step in taken:
        assert seen(ours, step) == seen(theirs, step)
    assert [vars(cookie) for cookie in ours] == [vars(cookie) for cookie in theirs]
    for method in ("keys", "values", "items", "list_domains", "list_paths", "multiple_domains", "get_dict"):
        assert getattr(ours, method)() == getattr(theirs, method)()
    for method in ("iterkeys", "itervalues", "iteritems"):
        assert list(getattr(ours, method)()) == list(getattr(theirs, method)())
    assert len(ours) == len(theirs)
    assert [vars(cookie) for cookie in ours.copy()] == [vars(cookie) for cookie in theirs.copy()]


def test_a_morsel_is_a_cookie_with_its_attributes() -> None:
    morsel = SimpleCookie("a=1; Path=/cart; Max-Age=60; Secure")["a"]
    ours, theirs = DictCookieJar(), RequestsCookieJar()
    ours.set("a", morsel)
    theirs.set("a", morsel)
    [cookie], [expected] = ours, theirs
    assert (cookie.name, cookie.value, cookie.path, cookie.secure) == ("a", "1", "/cart", True)
    assert cookie.expires == pytest.approx(expected.expires, abs=2)


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(TypeError, match="colour"):
        DictCookieJar().set("a", "1", colour="red")


@pytest.mark.parametrize("again", [copy.copy, lambda jar: pickle.loads(pickle.dumps(jar)), Cookies.copy])
def test_a_copy_is_a_jar_of_its_own(again: Callable[[Cookies], Cookies]) -> None:
    jar = Cookies()
    jar["a"] = "1"
    other = again(jar)
    assert type(other) is Cookies
    assert other.get_dict() == {"a": "1"}
    other.set("b", "2", domain="shop.test")
    assert "b" in other
    if again is not copy.copy:
        assert "b" not in jar


def test_requests_takes_the_cookies() -> None:
    jar = DictCookieJar()
    jar["a"] = "1"
    theirs = RequestsCookieJar()
    theirs.update(jar)
    assert isinstance(jar, CookieJar)
    assert theirs.get_dict() == {"a": "1"}
    assert theirs == jar
