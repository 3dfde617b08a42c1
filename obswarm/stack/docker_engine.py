"""The Docker engine, and sentences for when there is none."""

import os
import shutil
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

import psutil
import requests

from obswarm.api import ObswarmError
from obswarm.http import bound_answers

OLDEST_ENGINE = (20, 10)
OLDEST_COMPOSE = (2, 20)
_LARGEST_ANSWER_BYTES = 64 * 1024 * 1024


class StackError(ObswarmError):
    """What is missing for a stack, and what to do about it."""


class Engine:
    """A connection to the engine that the docker command would use. Raises StackError when there is none, or it is too
    old."""

    def __init__(self) -> None:
        # Here, because it takes a tenth of a second, and workers need it not.
        import docker
        import docker.errors

        self.failures: tuple[type[Exception], ...] = (docker.errors.DockerException, requests.RequestException)
        """What the client raises when the engine does not do what it is asked."""
        self._no_image: type[Exception] = docker.errors.ImageNotFound
        where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        try:
            self.client = docker.from_env(timeout=30)
            bound_answers(self.client.api, _LARGEST_ANSWER_BYTES)
            version = self.client.version()
        except (*self.failures, OSError) as error:
            raise StackError(_unreachable(where, error)) from None
        self.version: str = version["Version"]
        if as_numbers(self.version) < OLDEST_ENGINE:
            wanted = ".".join(map(str, OLDEST_ENGINE))
            raise StackError(f"Docker Engine {self.version} is too old; obswarm needs {wanted} or later.")

    @property
    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.info()
        return found

    @property
    def gateway(self) -> str | None:
        """This machine's address for containers, which the name host-gateway stands for; None when it cannot be told
        from here."""
        try:
            network = self.client.networks.get("bridge").attrs
        except self.failures:
            return None
        return host_gateway(network)

    def containers(self, project: str) -> list[Any]:
        """All of a Compose project, also those that have ended."""
        return list(self.client.containers.list(all=True, filters={"label": f"com.docker.compose.project={project}"}))

    def has_image(self, name: str) -> bool:
        try:
            self.client.images.get(name)
        except self._no_image:
            return False
        return True


def _unreachable(where: str, error: Exception) -> str:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return (
            f"You may not use the Docker engine at {where}. Add yourself to the group docker (sudo usermod -aG docker"
            " $USER, then log in anew), or use rootless Docker."
        )
    if shutil.which("docker") is None:
        return (
            "There is no Docker on this machine. Install Docker Engine and its Compose plugin"
            " (https://docs.docker.com/engine/install/); without it, obswarm run and obswarm demo need nothing."
        )
    return (
        f"The Docker engine does not answer at {where}. Start it: sudo systemctl start docker, or open Docker Desktop."
        " If docker finds it elsewhere (docker context ls), set DOCKER_HOST."
    )


def host_gateway(network: Mapping[str, Any], links: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """The IPv4 address that host-gateway stands for, from what `docker network inspect bridge` says.

    An engine that has started for the first time names no gateway there until its second start. Then it is the address
    of the bridge itself, or, where that link is not on this machine, the subnet's first one, which the engine takes
    (https://docs.docker.com/reference/cli/docker/network/create/#specify-advanced-options). `links` are the addresses
    by network link; None: this machine's. None is returned when nothing of that is known.
    """
    configured = [each for each in (network.get("IPAM") or {}).get("Config") or [] if "." in each.get("Subnet", "")]
    for each in configured:
        if each.get("Gateway"):
            return str(each["Gateway"])
    bridge = (network.get("Options") or {}).get("com.docker.network.bridge.name", "docker0")
    for address in (_link_addresses() if links is None else links).get(bridge, ()):
        if "." in address:
            return address
    for each in configured:
        return str(IPv4Network(each["Subnet"], strict=False)[1])
    return None


def _link_addresses() -> dict[str, list[str]]:
    return {name: [each.address for each in found] for name, found in psutil.net_if_addrs().items()}


def as_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 20.10.24+dfsg1 is (20, 10, 24)."""
    found: list[int] = []
    for part in version.lstrip("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
