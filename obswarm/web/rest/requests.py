"""The bodies of requests to the REST API. They are checked by the names, types and limits of these classes, from which
the OpenAPI document is made, too."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from obswarm.config import HIGHEST_SPAWN_RATE, MOST_USERS
from obswarm.web.rest.documents import OptionValue

_NAME = Meta(max_length=500)
_TEXT = Meta(min_length=1, max_length=2000)

Users = Annotated[int, Meta(ge=1, le=MOST_USERS)]
SpawnRate = Annotated[float, Meta(gt=0, le=HIGHEST_SPAWN_RATE)]
Name = Annotated[str, _NAME]
Names = Annotated[list[Name], Meta(max_length=1000)]


class Request(Struct, forbid_unknown_fields=True):
    """Base of the bodies of requests."""


class Empty(Request):
    """A request without parameters."""


class Start(Request):
    """The parameters of a new run; what is left out is as on the command line."""

    users: Users | None = None
    spawn_rate: SpawnRate | None = None
    run_time: Name | None = None
    stages: Annotated[str, Meta(max_length=10_000)] | None = None
    arrival_rate: Annotated[str, Meta(max_length=10_000)] | None = None
    host: Annotated[str, Meta(max_length=2000)] | UnsetType | None = UNSET
    user_classes: Names | UnsetType = UNSET
    tags: Names | UnsetType = UNSET
    exclude_tags: Names | UnsetType = UNSET
    profile: Name | UnsetType | None = UNSET
    options: Annotated[dict[str, OptionValue], Meta(max_length=1000)] = {}


class ChangeLoad(Request):
    """A new load of the run: a number of users, or a rate of iterations."""

    users: Users | None = None
    spawn_rate: SpawnRate | None = None
    user_classes: Names | None = None
    arrival_rate: Name | None = None


class Release(Request):
    """`by` is the name of what holds the load; None for the API."""

    by: Annotated[str, Meta(max_length=2000)] | None = None


class Stop(Request):
    reason: Annotated[str, Meta(max_length=500)] = ""
    abort: bool = False


class Annotate(Request):
    text: Annotated[str, _TEXT]


class Login(Request):
    """User and password, or the token."""

    user: Annotated[str, Meta(max_length=1000)] | None = None
    password: Annotated[str, Meta(max_length=1000)] | None = None
    token: Annotated[str, Meta(max_length=1000)] | None = None
