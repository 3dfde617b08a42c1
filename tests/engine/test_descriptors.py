import logging

import pytest

from obswarm import open_files
from obswarm.api import ObswarmError, User
from obswarm.engine import DescriptorWatch, check_descriptors, check_open_files
from obswarm.http import ConnectionPool, FastHttpUser, HttpUser


class Visitor(FastHttpUser):
    pass


class Buyer(HttpUser):
    pass


class Sharing(FastHttpUser):
    client_pool = ConnectionPool()


class Plain(User):
    pass


@pytest.fixture(autouse=True)
def room_for_200(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "soft_limit", lambda: 274)
    monkeypatch.setattr(open_files, "room", lambda: 200)


@pytest.mark.parametrize("user_class", [Visitor, Buyer])
def test_more_users_than_descriptors_are_refused_with_what_to_do(user_class: type[User]) -> None:
    with pytest.raises(ObswarmError) as raised:
        check_open_files([user_class], 1300, 1, has_workers=True)
    text = str(raised.value)
    assert text.startswith("1,300 users keep at least one connection each, but a process may have 274 open files")
    for way in ("ulimit -n 2048", "LimitNOFILE=2048", "--ulimit nofile=2048:2048", "--workers 9"):
        assert way in text


@pytest.mark.parametrize("classes", [[Plain], [Sharing]])
def test_users_without_connections_of_their_own_need_none(classes: list[type[User]], caplog) -> None:
    check_open_files(classes, 100_000, 1, has_workers=False)
    assert not caplog.records


def test_only_the_share_of_users_with_connections_counts() -> None:
    check_open_files([Visitor, Plain, Sharing], 450, 1, has_workers=False)
    with pytest.raises(ObswarmError, match="217 users"):
        check_open_files([Visitor, Plain, Sharing], 650, 1, has_workers=False)


def test_users_are_divided_over_worker_processes() -> None:
    check_open_files([Visitor], 1300, 10, has_workers=True)
    with pytest.raises(ObswarmError, match="1,300 users in 6 processes"):
        check_open_files([Visitor], 1300, 6, has_workers=True)


def test_a_tight_limit_is_told_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_open_files([Visitor], 190, 1, has_workers=False)
    assert "users with several connections will not get all of them" in caplog.text
    caplog.clear()
    check_open_files([Visitor], 160, 1, has_workers=False)
    check_open_files([Visitor], None, 1, has_workers=False)
    assert not caplog.records


def test_worker_processes_have_to_fit_themselves() -> None:
    with pytest.raises(ObswarmError, match="51 worker processes need 204 open files"):
        check_open_files([Plain], 1, 51, has_workers=True)
    with pytest.raises(ObswarmError, match="300 workers need 300 open files"):
        check_descriptors(300, "300 workers")


def test_users_that_a_shape_asks_for_are_compared_while_the_run_goes_on() -> None:
    watch = DescriptorWatch([Visitor, Plain])
    assert watch.shortage({"Visitor": 200, "Plain": 5_000}) is None
    text = watch.shortage({"Visitor": 201})
    assert text is not None
    assert text.startswith("201 users of one process keep at least one connection each")
    assert watch.shortage({"Visitor": 300}) is None, "once is enough"
