"""Checks before a stack is started: disk space, free ports, a readable load test."""

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import psutil

from obswarm.stack.docker_engine import Engine, StackError
from obswarm.stack.project import DEMO_PORTS, PORTS, Project, port_variable
from obswarm.units import format_bytes

_MIN_FREE_BYTES = 2 * 1024**3
_PORTS_TRIED = 200


def check_disk(engine: Engine) -> None:
    """Raise StackError if there is too little disk space for the images. Skipped for an engine on another machine."""
    root = Path(engine.info.get("DockerRootDir") or "/nowhere")
    if not root.exists():
        return
    free = shutil.disk_usage(root).free
    if free < _MIN_FREE_BYTES:
        raise StackError(
            f"{root}, where Docker stores images and volumes, has only {format_bytes(free)} left; the stack needs"
            f" {format_bytes(_MIN_FREE_BYTES)}. Free some with: docker system prune."
        )


def choose_ports(project: Project, engine: Engine) -> dict[str, int]:
    """Choose a port for each service: its current one, else its default, else, if another stack uses that, the next
    free one. Raises StackError for a port that another program uses."""
    running = {port for container in engine.containers(project.name) for port in published(container)}
    others = _of_other_stacks(project, engine)
    wanted = {**PORTS, **(DEMO_PORTS if project.demo else {})}
    chosen: dict[str, int] = {}
    for name, usual in wanted.items():
        port = project.ports.get(name) or _named(name) or usual
        if port in running:
            chosen[name] = port
            continue
        if port in others:
            port = _next_free(port, {*others, *chosen.values()})
        elif not _is_free(port):
            raise StackError(
                f"Port {port}, for {name.replace('_', ' ')}, is in use by {_owner(port, engine)}. Stop it, or choose"
                f" another port with {port_variable(name)}=…"
            )
        chosen[name] = port
    return chosen


def _named(name: str) -> int | None:
    text = os.environ.get(port_variable(name), "")
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(f"{port_variable(name)}={text} is not a port; write a number from 1 to 65535.")
    return int(text)


def published(container: Any) -> set[int]:
    """Return the published host ports of a container, running or not."""
    bindings = (container.attrs.get("HostConfig") or {}).get("PortBindings") or {}
    return {int(each["HostPort"]) for places in bindings.values() for each in places or () if each.get("HostPort")}


def _of_other_stacks(project: Project, engine: Engine) -> set[int]:
    ours = engine.client.containers.list(filters={"label": "io.obswarm.stack"})
    label = "com.docker.compose.project"
    return {port for each in ours if each.labels.get(label) != project.name for port in published(each)}


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _next_free(port: int, taken: set[int]) -> int:
    for each in range(port + 1, port + _PORTS_TRIED):
        if each not in taken and _is_free(each):
            return each
    raise StackError(f"The ports {port} to {port + _PORTS_TRIED - 1} are all in use.")


def _owner(port: int, engine: Engine) -> str:
    for container in engine.client.containers.list():
        if port in published(container):
            return f"the container {container.name}"
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f"{psutil.Process(each.pid).name()} (process {each.pid})"
    except psutil.Error:
        pass
    return "another program"


def check_readable(file: Path) -> None:
    """Raise StackError if containers, which run as another user, cannot read a load-test file."""
    for path, bits in ((file, 0o004), (file.parent, 0o005)):
        if path.stat().st_mode & bits != bits:
            raise StackError(
                f"-f {file}: {path} may be read by its owner alone, and containers run as another user. Allow it with:"
                f" chmod o+r{'x' if path.is_dir() else ''} {path}"
            )
