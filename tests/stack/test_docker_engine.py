"""What the engine tells of itself, and what it leaves out."""

from typing import Any

import pytest

from obswarm.stack.docker_engine import host_gateway

V4, V6 = {"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"}
NAMED = {"com.docker.network.bridge.name": "br-here"}


def network(*config: dict[str, str], options: dict[str, str] | None = None) -> dict[str, Any]:
    return {"IPAM": {"Config": list(config)}, "Options": options}


@pytest.mark.parametrize(
    ("found", "links", "expected"),
    [
        pytest.param(network({**V4, "Gateway": "172.17.0.9"}), {"docker0": ["10.0.0.1"]}, "172.17.0.9", id="told"),
        pytest.param(network(V4), {"docker0": ["172.17.0.7"]}, "172.17.0.7", id="first start"),
        pytest.param(network(V4), {"docker0": ["fe80::1%docker0", "172.17.0.7"]}, "172.17.0.7", id="IPv6 on the link"),
        pytest.param(network(V4, options=NAMED), {"br-here": ["172.17.0.7"]}, "172.17.0.7", id="a bridge of that name"),
        pytest.param(network(V4), {"eth0": ["192.0.2.1"]}, "172.17.0.1", id="the engine is not on this machine"),
        pytest.param(network({"Subnet": "10.1.2.192/26"}), {}, "10.1.2.193", id="another subnet"),
        pytest.param(network(V6, V4), {}, "172.17.0.1", id="IPv6 comes first"),
        pytest.param(network(V6), {}, None, id="IPv6 alone"),
        pytest.param(network(), {}, None, id="nothing configured"),
        pytest.param({"IPAM": None, "Options": None}, {}, None, id="nothing at all"),
    ],
)
def test_the_machines_address_for_containers(found: Any, links: dict[str, list[str]], expected: str | None) -> None:
    assert host_gateway(found, links) == expected
