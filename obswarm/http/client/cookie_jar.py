"""The standard library's cookie jar as a dict, without requests, which FastHttpUser does not import."""

import copy
import threading
from collections.abc import Iterator, MutableMapping
from http.cookiejar import Cookie, CookieJar, CookiePolicy
from typing import Any, Self, cast


class DictCookieJar(CookieJar, MutableMapping[str, str | None]):
    """A http.cookiejar.CookieJar with the methods of requests.cookies.RequestsCookieJar.

    `jar["name"]`, `jar["name"] = value`, `.get(name, domain=…, path=…)`, `.set(name, value, domain=…, path=…)`,
    `.get_dict(domain, path)` … Raises requests.cookies.CookieConflictError where several cookies have the name.
    """

    _policy: CookiePolicy

    def __iter__(self) -> Iterator[Cookie]:  # type: ignore[override]
        return super().__iter__()

    def _found(self, name: str | None, domain: str | None = None, path: str | None = None) -> list[Cookie]:
        """Return the cookies with this name, domain and path; None: with any."""
        return [
            cookie
            for cookie in self
            if (name is None or cookie.name == name)
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        ]

    def _value(self, name: str, domain: str | None = None, path: str | None = None) -> str:
        values = [cookie.value for cookie in self._found(name, domain, path) if cookie.value is not None]
        if len(values) > 1:
            # Only here: FastHttpUser does not import requests.
            from requests.cookies import CookieConflictError

            raise CookieConflictError(f"There are multiple cookies with name, {name!r}")
        if not values:
            raise KeyError(f"name={name!r}, domain={domain!r}, path={path!r}")
        return values[0]

    def get(  # type: ignore[override]
        self, name: str, default: str | None = None, domain: str | None = None, path: str | None = None
    ) -> str | None:
        """Return the value of the cookie with this name, and domain and path if they are given; else the default."""
        try:
            return self._value(name, domain, path)
        except KeyError:
            return default

    def set(self, name: str, value: Any, **attributes: Any) -> Cookie | None:
        """Set a cookie; its attributes are those of http.cookiejar.Cookie. Without a domain it goes to all hosts. The
        value may be a http.cookies.Morsel; None removes the cookie. Raises TypeError for unknown attributes."""
        if value is None:
            self._remove(name, attributes.get("domain"), attributes.get("path"))
            return None
        cookie = make_cookie(name, value, **attributes)
        self.set_cookie(cookie)
        return cookie

    def _remove(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        for cookie in self._found(name, domain, path):
            self.clear(cookie.domain, cookie.path, cookie.name)

    def __getitem__(self, name: str) -> str | None:
        return self._value(name)

    def __setitem__(self, name: str, value: str | None) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self._remove(name)

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name and cookie.value is not None for cookie in self)

    def iterkeys(self) -> Iterator[str]:
        """Iterate over the names of the cookies."""
        return (cookie.name for cookie in self)

    def itervalues(self) -> Iterator[str | None]:
        """Iterate over the values of the cookies."""
        return (cookie.value for cookie in self)

    def iteritems(self) -> Iterator[tuple[str, str | None]]:
        """Iterate over names and values of the cookies."""
        return ((cookie.name, cookie.value) for cookie in self)

    def keys(self) -> list[str]:  # type: ignore[override]
        """Return the names of the cookies."""
        return list(self.iterkeys())

    def values(self) -> list[str | None]:  # type: ignore[override]
        """Return the values of the cookies."""
        return list(self.itervalues())

    def items(self) -> list[tuple[str, str | None]]:  # type: ignore[override]
        """Return names and values of the cookies."""
        return list(self.iteritems())

    def list_domains(self) -> list[str]:
        """Return the domains of the cookies, each once."""
        return list(dict.fromkeys(cookie.domain for cookie in self))

    def list_paths(self) -> list[str]:
        """Return the paths of the cookies, each once."""
        return list(dict.fromkeys(cookie.path for cookie in self))

    def multiple_domains(self) -> bool:
        """Return whether a domain has more than one cookie, as requests does."""
        domains = [cookie.domain for cookie in self]
        return len(domains) > len(set(domains))

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str | None]:
        """Return the values by name of the cookies with this domain and path; None: with any."""
        return {cookie.name: cookie.value for cookie in self._found(None, domain, path)}

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> None:
        """Add a cookie. As in requests, a value in quotation marks has no escaped ones."""
        value = cookie.value
        if value is not None and value.startswith('"') and value.endswith('"'):
            cookie.value = value.replace('\\"', "")
        super().set_cookie(cookie, *args, **kwargs)

    def update(self, other: Any) -> None:  # type: ignore[override]
        """Add copies of the cookies of a jar, or those of a dict."""
        if isinstance(other, CookieJar):
            for cookie in other:
                self.set_cookie(copy.copy(cookie))
        else:
            super().update(other)

    def copy(self) -> Self:
        """Return a jar with copies of the cookies, and the same policy."""
        made = type(self)()
        made.set_policy(self._policy)
        made.update(self)
        return made

    def get_policy(self) -> CookiePolicy:
        """Return the policy of http.cookiejar that the jar follows."""
        return self._policy

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: without the lock."""
        return {name: value for name, value in self.__dict__.items() if name != "_cookies_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cookies_lock = threading.RLock()


def make_cookie(name: str, value: Any, **attributes: Any) -> Cookie:
    """Return a cookie for all hosts and paths, but for its attributes. Raises TypeError for unknown ones."""
    if value is not None and not isinstance(value, str):
        # Whoever has one has imported this.
        from http.cookies import Morsel

        if isinstance(value, Morsel):
            from requests.cookies import morsel_to_cookie

            return cast(Cookie, morsel_to_cookie(value))
    unknown = [attribute for attribute in attributes if attribute not in _DEFAULTS]
    if unknown:
        raise TypeError(f"a cookie has no {', '.join(unknown)}")
    given = {**_DEFAULTS, "rest": {"HttpOnly": None}, **attributes}
    return Cookie(
        name=name,
        value=value,
        port_specified=bool(given["port"]),
        domain_specified=bool(given["domain"]),
        domain_initial_dot=given["domain"].startswith("."),
        path_specified=bool(given["path"]),
        **given,
    )


_DEFAULTS: dict[str, Any] = {
    "version": 0,
    "port": None,
    "domain": "",
    "path": "/",
    "secure": False,
    "expires": None,
    "discard": True,
    "comment": None,
    "comment_url": None,
    "rest": None,
    "rfc2109": False,
}
