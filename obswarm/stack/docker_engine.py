"""Connection to the Docker engine, with helpful errors if it is missing or too old."""

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
    """A precondition of the stack is not met. The message contains what to do."""


class Engine:
    """Connection to the engine that the docker command would use. Raises StackError if it is unreachable or too old."""

    def __init__(self) -> None:
        # Imported here, since it takes 0.1 s and only the stack needs it.
        import docker
        import docker.errors

        self.failures: tuple[type[Exception], ...] = (docker.errors.DockerException, requests.RequestException)
        """Exceptions of the client for failed requests to the engine."""
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
        """Return the address of this machine for containers (Docker's host-gateway); None if unknown."""
        try:
            network = self.client.networks.get("bridge").attrs
        except self.failures:
            return None
        return host_gateway(network)

    def containers(self, project: str) -> list[Any]:
        """Return all containers of a Compose project, including exited ones."""
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
            f"No permission to use the Docker engine at {where}. Add yourself to the group docker (sudo usermod"
            " -aG docker $USER, then log in again), or use rootless Docker."
        )
    if shutil.which("docker") is None:
        return (
            "There is no Docker on this machine. Install Docker Engine and its Compose plugin"
            " (https://docs.docker.com/engine/install/); obswarm run and obswarm demo work without it."
        )
    return (
        f"The Docker engine does not respond at {where}. Start it: sudo systemctl start docker, or open Docker Desktop."
        " If docker uses another address (docker context ls), set DOCKER_HOST."
    )


def host_gateway(network: Mapping[str, Any], links: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """Return the IPv4 address of host-gateway from the output of `docker network inspect bridge`; None if unknown.

    After its very first start, an engine reports no gateway there. Then it is the address of the bridge itself, or, if
    that link is not on this machine, the first address of the subnet, which the engine uses
    (https://docs.docker.com/reference/cli/docker/network/create/#specify-advanced-options). `links`: addresses by
    network link; None: those of this machine.
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
    """Return the leading numbers of a version: (20, 10, 24) for 20.10.24+dfsg1."""
    found: list[int] = []
    for part in version.lstrip("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
