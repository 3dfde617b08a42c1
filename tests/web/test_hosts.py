import socket

import pytest

from obswarm.web.server import AllowedHosts


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "127.0.0.1",
        "127.0.0.1:8089",
        "[::1]:8089",
        "[2001:db8::1]",
        "192.0.2.7:80",
        "localhost",
        "LOCALHOST:8089",
        "any.localhost",
        "master:8089",
        "host.docker.internal:8089",
        "printer.local",
        "obswarm.loadtests.svc.cluster.local",
        "obswarm.loadtests.svc:8089",
        "load.example.com",
        "Load.Example.com.:443",
        socket.gethostname(),
    ],
)
def test_names_that_nobody_else_can_have_are_allowed(host: str | None) -> None:
    assert AllowedHosts(["load.example.com"]).allows(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8089", "localhost.evil.example", "1.2.3", "[evil.example]", "a.com:8089", "xlocal.com"],
)  # fmt: skip
def test_names_that_somebody_may_have_pointed_here_are_not(host: str) -> None:
    assert not AllowedHosts(["load.example.com"]).allows(host)
