"""Calls of a user and of a client that send and receive JSON, named as Locust names them."""

from typing import Any

from obswarm.http import RestCalls


class RestMixin(RestCalls):
    """`rest()` and `rest_()` of a user that has a `client`."""

    client: Any

    def _rest_client(self) -> Any:
        return self.client

    def _rest_name(self, url: str) -> str:
        return f"{url}{'&' if '?' in url else '?'}_=..."
