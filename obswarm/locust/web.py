"""`locust.web`: names of the web page, for load tests that import them. The page is obswarm's own: load tests add
routes to `environment.web_ui.app`."""

from typing import TYPE_CHECKING, Any, TypedDict

from obswarm.locust.util.cache import memoize

if TYPE_CHECKING:
    from obswarm.locust.env import Environment

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
    """The page of an environment: `WebUI(environment, host, port)` is `environment.create_web_ui(host, port)`."""

    def __new__(cls, environment: "Environment", *arguments: Any, **options: Any) -> Any:
        return environment.create_web_ui(*arguments, **options)
