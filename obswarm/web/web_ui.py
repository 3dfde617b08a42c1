"""`environment.web_ui`: the page as a load test sees it, under Locust's names."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

_NOT_YET = b"The load test is being loaded; try again in a second.\n"


class WebUI:
    """The Flask application of the page, which is made when it is first used: for `app`, or for a request.

    A load test adds routes and blueprints to `app` in a listener of `init`; requests are answered after that. Its
    routes need the same access as the page.
    """

    def __init__(self, make: Callable[[], "Flask"]) -> None:
        self._make = make
        self._app: Flask | None = None
        self._is_open = False
        self.template_args: dict[str, Any] = {}
        """Values for templates of the load test: what it sets, and nothing else."""

    @property
    def app(self) -> "Flask":
        """The Flask application."""
        if self._app is None:
            self._app = self._make()
        return self._app

    def open(self) -> None:
        """Answer requests from now on."""
        self._is_open = True

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request, as a WSGI application."""
        if not self._is_open:
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(_NOT_YET))), ("Retry-After", "1")]
            start_response("503 Service Unavailable", headers)
            return [_NOT_YET]
        return self.app(environ, start_response)

    def auth_required_if_enabled(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Return the view function: access to all routes of `app` is checked before it is called."""

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs)

        return checked

    def update_template_args(self) -> None:
        """Do nothing: `template_args` are what the load test has set."""

    def stop(self) -> None:
        """Do nothing: the server ends with the process."""
