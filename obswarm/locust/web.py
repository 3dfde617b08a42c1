"""`locust.web`: names of the web page, for load tests that import them. The page is obswarm's own: load tests add
routes to `environment.web_ui.app`."""

from typing import Any, TypedDict

from obswarm.api import ObswarmError
from obswarm.locust.util.cache import memoize

DEFAULT_CACHE_TIME = 2.0
HOST_IS_REQUIRED = False

__all__ = ["DEFAULT_CACHE_TIME", "HOST_IS_REQUIRED", "AuthArgs", "AuthProvider", "InputField", "WebUI", "memoize"]


class InputField(TypedDict, total=False):
    """A field of a form of the page."""

    label: str
    name: str
    type: str | None
    default_value: bool | None
    choices: list[str] | None
    is_multiple: bool | None
    is_secret: bool | None
    is_required: bool | None


class CustomForm(TypedDict, total=False):
    """A form of the page."""

    inputs: list[InputField] | None
    callback_url: str
    submit_button_text: str | None


class AuthProvider(TypedDict, total=False):
    """A service to log in by."""

    label: str | None
    callback_url: str
    icon_url: str | None


class AuthArgs(TypedDict, total=False):
    """What the page for logging in shows."""

    custom_form: CustomForm
    auth_providers: list[AuthProvider]
    username_password_callback: str
    error: str
    info: str


class WebUI:
    """Locust's web page, which load tests do not make themselves. Raises ObswarmError when it is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ObswarmError(
            "locust.web.WebUI cannot be made by a program; `obswarm run --web` has a page, which is"
            " environment.web_ui in a load test."
        )
