import errno
import gc
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import gevent
import pytest

from obswarm import open_files
from obswarm.http.connect import open_connection
from obswarm.http.dns_cache import DnsCache
from obswarm.http.errors import NoDescriptorLeft
from obswarm.http.route import Route
from obswarm.http.tls import TlsSettings, tls_context
from obswarm.http.transport import SocketStream
from obswarm.http.urls import parse_url


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Sets the soft limit; what a test opens with `full` is closed at its end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def full(limit: Callable[[int], None]) -> Iterator[None]:
    """No room for a connection of a user."""
    # What is opened or closed only once, or by chance, is so before.
    gevent.get_hub()
    gc.collect()
    limit(1024)
    opened = []
    while not open_files.is_full():
        opened.append(os.open(os.devnull, os.O_RDONLY))
    yield
    for number in opened:
        os.close(number)


def test_the_soft_limit_is_raised_to_the_hard_one_but_not_to_a_billion(limit: Callable[[int], None]) -> None:
    hard = open_files.hard_limit()
    limit(512)
    open_files.raise_soft_limit()
    assert open_files.soft_limit() == min(hard, open_files.LARGEST_SOFT_LIMIT)


def test_a_soft_limit_that_is_high_already_stays(limit: Callable[[int], None]) -> None:
    open_files.raise_soft_limit()
    before = open_files.soft_limit()
    open_files.raise_soft_limit()
    assert open_files.soft_limit() == before


@pytest.mark.parametrize(
    ("soft", "for_users", "for_strangers"), [(64, 48, 56), (256, 192, 224), (1024, 960, 992), (20_000, 19_936, 19_968)]
)
def test_the_last_descriptors_are_kept_for_this_process(
    monkeypatch: pytest.MonkeyPatch, soft: int, for_users: int, for_strangers: int
) -> None:
    monkeypatch.setattr(open_files, "soft_limit", lambda: soft)
    assert open_files.ceiling() == for_users
    assert open_files.ceiling(open_files.RESERVED_FROM_WEB) == for_strangers


@pytest.mark.usefixtures("full")
def test_a_client_gets_none_of_the_reserved_descriptors_and_everybody_else_does() -> None:
    assert open_files.is_full()
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        with pytest.raises(OSError, match="Too many open files"):
            SocketStream(family)
    with ExitStack() as stack:
        for _ in range(open_files.RESERVED // 2):
            stack.enter_context(socket.socket())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "https://127.0.0.1:9/", "http+unix://%2Fnowhere/", "http://name.invalid/"]
)
def test_a_request_without_a_descriptor_fails_with_a_plain_reason(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("obswarm.http.dns_cache.socket.getaddrinfo", look_up)
    origin = parse_url(url).origin
    route = Route.to(origin, None, TlsSettings(True) if origin.scheme == "https" else None)
    with pytest.raises(NoDescriptorLeft, match=r"no file descriptors left: it may have 1,024 open files \(ulimit -n\)"):
        open_connection(route, 5, float("inf"), DnsCache())


@pytest.mark.usefixtures("full")
def test_a_context_without_certificates_is_not_kept() -> None:
    settings = TlsSettings(True, None, None)
    tls_context.cache_clear()
    with pytest.raises(NoDescriptorLeft):
        tls_context(settings)
    assert tls_context.cache_info().currsize == 0


def test_a_machine_without_descriptors_is_told_from_a_process_without() -> None:
    assert open_files.is_exhaustion(OSError(errno.ENFILE, ""))
    assert open_files.is_exhaustion(OSError(errno.EMFILE, ""))
    assert not open_files.is_exhaustion(OSError(errno.ECONNREFUSED, ""))
    assert open_files.reason(errno.ENFILE).startswith("this machine")
    assert open_files.reason(errno.EMFILE).startswith("this process")
