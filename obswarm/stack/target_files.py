"""Write the targets of [[targets]] and --target as files for Prometheus' file-based service discovery
(https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config)."""

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from obswarm.cluster import is_loopback
from obswarm.stack.project import HOST_NAME, Project
from obswarm.targets import Target

_CONNECT_S = 1.0


def write_targets(project: Project, targets: Sequence[Target], shipped: Sequence[Path] = ()) -> None:
    """Write one file per target and copies of the shipped ones, and remove those of former targets. Raises OSError."""
    contents = {path.name: path.read_text(encoding="utf-8") for path in shipped}
    for target in targets:
        contents[f"target-{re.sub('[^A-Za-z0-9]+', '-', target.name)}.json"] = json.dumps([entry(target)], indent=2)
    project.targets.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        # Renamed into place, so that Prometheus never reads a partial file.
        temporary = project.targets / f".{name}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(project.targets / name)
    for path in project.targets.glob("*.json"):
        if path.name not in contents:
            path.unlink()


def entry(target: Target) -> dict[str, Any]:
    """Return a target group. A loopback address is replaced by the name of this machine inside containers."""
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = HOST_NAME if is_loopback(host) else f"[{host}]" if ":" in host else host
    labels = {
        "job": target.name,
        "kind": target.kind,
        "__scheme__": parts.scheme,
        "__metrics_path__": parts.path or "/",
    }
    labels.update({f"__param_{name}": value for name, value in parse_qsl(parts.query)})
    return {"targets": [f"{address}:{port}"], "labels": labels}


def loopback_only(targets: Sequence[Target], gateway: str) -> list[Target]:
    """Return the targets that listen on the loopback interface only, so that containers cannot reach them at `gateway`,
    this machine's address for containers."""
    return [target for target in targets if is_loopback_only(target.url, gateway)]


def is_loopback_only(url: str, gateway: str) -> bool:
    """Return whether the URL's port is open on the loopback interface but not at `gateway`."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return is_loopback(host) and _answers(host, port) and not _answers(gateway, port)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False
