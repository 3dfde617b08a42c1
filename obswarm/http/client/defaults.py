"""Defaults of a session's requests: base URL, headers, authentication, cookies."""

from collections.abc import Callable, Mapping

from obswarm.http.case_insensitive import CaseInsensitiveDict
from obswarm.http.client.cookies import Cookies
from obswarm.http.client.settings import Settings
from obswarm.http.head import Template, basic_auth, check_fields, template


class SessionHeaders(CaseInsensitiveDict[str]):
    """A dict that ignores the case of names, and calls `on_change` when it changes."""

    def __init__(self, fields: Mapping[str, str], on_change: Callable[[], None]) -> None:
        self._on_change: Callable[[], None] | None = None
        super().__init__(fields)
        self._on_change = on_change

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        if self._on_change is not None:
            self._on_change()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if self._on_change is not None:
            self._on_change()

    def copy(self) -> "CaseInsensitiveDict[str]":
        """Return an independent copy."""
        return CaseInsensitiveDict(self)

    def present(self) -> dict[str, str]:
        """Return the headers except those with the value None, which leaves a header out."""
        values: Mapping[str, str | None] = self
        return {name: value for name, value in values.items() if value is not None}


class SessionDefaults:
    """Keeps the template of a session's requests. Most sessions change nothing of their class's settings, and share one
    template; headers and cookies of a session's own are made when they are first asked for."""

    __slots__ = ("_auth", "_base_url_before", "_cookies", "_headers", "_template", "settings")

    def __init__(self, base_url: str | None, settings: Settings) -> None:
        self.settings = settings
        self._auth: tuple[str, str] | None = None
        self._headers: SessionHeaders | None = None
        self._cookies: Cookies | None = None
        self._template: Template | None = template(base_url, settings.fields, settings.proxy, settings.tls)

    @property
    def base_url(self) -> str | None:
        return self.current_template().base_url

    @base_url.setter
    def base_url(self, base_url: str | None) -> None:
        old = self.current_template()
        self._template = template(base_url, tuple(old.fields.items()), old.proxy, old.tls)

    @property
    def headers(self) -> SessionHeaders:
        """Sent with every request; a dict that ignores the case of names. None as a value leaves a header out."""
        if self._headers is None:
            self._headers = SessionHeaders(self.current_template().fields, self._forget_template)
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, str]) -> None:
        self._headers = SessionHeaders(headers, self._forget_template)
        self._forget_template()

    @property
    def auth(self) -> tuple[str, str] | None:
        """(user, password) for basic authentication of every request."""
        return self._auth

    @auth.setter
    def auth(self, auth: tuple[str, str] | None) -> None:
        if auth is not None:
            basic_auth(auth)
        self._auth = auth
        # From now on the template depends on more than the settings.
        self._headers = self.headers
        self._forget_template()

    @property
    def cookies(self) -> Cookies:
        """This user's cookies."""
        if self._cookies is None:
            self._cookies = Cookies()
        return self._cookies

    cookiejar = cookies

    def _forget_template(self) -> None:
        if self._template is not None:
            self._base_url_before = self._template.base_url
        self._template = None

    def current_template(self) -> Template:
        """Return the template of the session's requests, with its present headers and authentication."""
        if self._template is None:
            fields = check_fields(self.headers.present())
            if self._auth is not None and "authorization" not in {name.lower() for name in fields}:
                fields["Authorization"] = basic_auth(self._auth)
            settings = self.settings
            self._template = template(self._base_url_before, tuple(fields.items()), settings.proxy, settings.tls)
        return self._template
