"""`--host` and the user classes' own, checked before a run by the classes that will use it."""

import click
import pytest

from obswarm.api import ObswarmError, User
from obswarm.app.client import replace_host
from obswarm.app.planning import _check_hosts
from obswarm.cli.option_types import target_host
from obswarm.config import RunConfig
from obswarm.http import FastHttpUser, HttpUser


def config(host: str | None) -> RunConfig:
    return RunConfig.of({"host": host}, {})


def made(kind: type[User], host: object = None) -> type[User]:
    return type("Visitor", (kind,), {"host": host})


@pytest.mark.parametrize("host", ["grpc://db:50051", "ws://x/", "db:50051", "unix:/run/x.sock", "http://x/"])
def test_a_user_takes_any_host(host: str) -> None:
    cls = made(User)
    assert _check_hosts([cls], config(target_host(f" {host} "))) == host
    assert cls.host == host
    assert _check_hosts([made(User, ("db", 5)), made(User)], config(None)) is None


def test_http_users_have_it_without_its_slash() -> None:
    classes = [made(FastHttpUser), made(HttpUser)]
    assert _check_hosts(classes, config("https://x/a/")) == "https://x/a"
    assert {cls.host for cls in classes} == {"https://x/a"}
    both = [made(User), made(FastHttpUser)]
    assert _check_hosts(both, config("http://x/")) == "http://x/"
    assert [cls.host for cls in both] == ["http://x/", "http://x"]
    own = made(FastHttpUser, "http://own/")
    assert _check_hosts([own], config(None)) is None
    assert own.host == "http://own"


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
def test_what_a_class_does_not_take_is_refused_with_its_name(kind: type[User]) -> None:
    with pytest.raises(ObswarmError, match=r"^--host: 'grpc://db' is not a base URL; .* \(Visitor\)"):
        _check_hosts([made(User), made(kind)], config("grpc://db"))
    with pytest.raises(ObswarmError, match=r"^Visitor\.host: 'db:50051' is not a base URL; .*like http://db:50051\.$"):
        _check_hosts([made(kind, "db:50051")], config(None))


def test_a_class_of_the_load_tests_own_may_refuse_hosts_and_raise() -> None:
    class Grpc(User):
        @classmethod
        def check_host(cls, host: str) -> str:
            if not host.startswith("grpc://"):
                raise ValueError(f"{host!r} is not grpc://")
            return host[int(host[-1]) :]

    assert _check_hosts([Grpc], config("grpc://db:7")) == "db:7"
    with pytest.raises(ObswarmError, match=r"'http://x' is not grpc:// \(Grpc\)"):
        _check_hosts([Grpc], config("http://x"))
    Grpc.host = "grpc://dbx"
    with pytest.raises(ObswarmError, match=r"Grpc\.host: invalid literal for int"):
        _check_hosts([Grpc], config(None))
    Grpc.host = 5  # type: ignore[assignment]
    with pytest.raises(ObswarmError, match=r"(?s)Grpc\.check_host raised:.*AttributeError"):
        _check_hosts([Grpc], config(None))


@pytest.mark.parametrize("host", ["", " ", "a\nb", "a\x1bb"])
def test_what_is_no_host_at_all(host: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a host"):
        target_host(host)


def test_a_host_of_this_machine_is_another_one_in_a_container() -> None:
    assert replace_host("http://127.0.0.1:80/a", "host.docker.internal") == "http://host.docker.internal:80/a"
    assert replace_host("grpc://localhost:50051", "there") == "grpc://there:50051"
    assert replace_host("localhost:50051", "there") == "there:50051"
    assert replace_host("localhost:50051", "there:1") == "there:1"
    assert replace_host("http://me:key@localhost:80/a", "there") == "http://me:key@there:80/a"
    assert replace_host("http://me:key@localhost:80/a", "there:1") == "http://me:key@there:1/a"
