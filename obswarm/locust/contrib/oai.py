"""`locust.contrib.oai`: users of OpenAI's API, and of others that have the same one, over the package openai."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from obswarm.api import Environment, EventHook, ObswarmError, User
from obswarm.locust.catching import environment_for
from obswarm.locust.contrib.optional import close_apart, needed

with needed("openai", "oai", "openai"):
    import openai

__all__ = ["OpenAIClient", "OpenAIUser"]


class _MeasuredClient(openai.DefaultHttpxClient):
    """Counts each request that openai sends, its repetitions included."""

    owner: "OpenAIClient"

    def send(self, request: Any, **options: Any) -> Any:
        name = self.owner.request_name or request.url.path
        raised: Exception | None = None
        response: Any = None
        with self.owner.environment.request(request.method, name, url=str(request.url)) as record:
            try:
                response = super().send(request, **options)
            except Exception as error:
                record.status_code = 0
                raised = error
                raise
            record.response = response
            record.status_code = response.status_code
            if not options.get("stream"):
                record.response_bytes = _output_tokens(response)
            # Its failure is an exception of the HTTP library, which openai turns into one of its own afterwards.
            response.raise_for_status()
        if raised is not None:
            raise raised
        return response


def _output_tokens(response: Any) -> int:
    """Return the number of tokens of an answer, 0 where it does not say."""
    try:
        usage = response.json()["usage"]
        return int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0


class OpenAIClient(openai.OpenAI):
    """An openai.OpenAI whose requests are counted by path, or by `request_name`. The size of an answer is its number of
    output tokens; of a streamed one the time to its head is measured."""

    closed_with_user = True

    def __init__(self, request_event: EventHook, user: User | None, *args: Any, **kwargs: Any) -> None:
        """Further arguments are those of openai.OpenAI. Raises OpenAIError without a key."""
        self.request_name: str | None = None
        self.user = user
        self.environment: Environment = environment_for(user, request_event)
        http_client = _MeasuredClient()
        http_client.owner = self
        super().__init__(*args, **kwargs, http_client=http_client)

    @contextmanager
    def rename_request(self, name: str) -> Generator[None, None, None]:
        """Requests made in the block are counted under this name."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before

    def close(self) -> None:
        """Close all connections."""
        close_apart("OpenAI", super().close)


class OpenAIUser(User):
    """A user with an OpenAIClient. The variables OPENAI_API_KEY and OPENAI_BASE_URL say where to and who."""

    abstract = True
    client: OpenAIClient

    def __init__(self, environment: Environment, *_: Any, **__: Any) -> None:
        super().__init__(environment)
        try:
            self.client = OpenAIClient(environment.events.request, self)
        except openai.OpenAIError as error:
            raise ObswarmError(f"{type(self).__name__}: {error}") from None
