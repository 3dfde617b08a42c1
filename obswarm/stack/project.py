"""A Compose project: name, ports, secrets, and the folder that stores them between commands."""

import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from obswarm import __version__
from obswarm.api import ObswarmError
from obswarm.resources import shipped

DEFAULT_PROJECT = "obswarm"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
PORTS = {
    "web": 8089,
    "grafana": 3000,
    "prometheus": 9090,
    "alertmanager": 9093,
}
DEMO_PORTS = {
    "contest_load_balancer_http": 18080,
    "contest_load_balancer_metrics": 18404,
    "contest_load_balancer_admin": 18405,
    "contest_cluster_a_http": 18001,
    "contest_cluster_a_metrics": 18101,
    "contest_cluster_b_http": 18002,
    "contest_cluster_b_metrics": 18102,
    "contest_database_mysql": 13306,
    "contest_database_exporter_metrics": 19104,
    "contest_node_exporter_metrics": 19100,
    "contest_slow_network_mysql": 13307,
}
"""Ports that the Compose file of the demo's target publishes."""

HOST_NAME = "host.docker.internal"
"""Host name of this machine inside containers."""


def _home() -> Path:
    named = os.environ.get("OBSWARM_STATE_HOME")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "obswarm"


@dataclass(slots=True)
class Project:
    """A Compose project of a stack.

    `loadtest`: file that is mounted with its folder; `exporters`, `stats`: optional services; `environment`: variables
    for the load test. `save` writes a file with mode 0600 in a folder with mode 0700, since it contains tokens.
    """

    name: str = DEFAULT_PROJECT
    workers: int = 1
    gateway: str | None = None
    """Address of this machine for containers."""
    demo: bool = False
    exporters: bool = False
    stats: bool = False
    loadtest: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    grafana_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    api_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    alerts_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    signing_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def folder(self) -> Path:
        return _home() / "stacks" / self.name

    @property
    def targets(self) -> Path:
        """Folder of the target files for Prometheus' service discovery."""
        return self.folder / "targets"

    @property
    def web_url(self) -> str:
        return self.url("web")

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports.get(service, PORTS.get(service, 0))}"

    @property
    def image(self) -> str:
        return os.environ.get("OBSWARM_IMAGE") or f"obswarm:{__version__}"

    @property
    def profiles(self) -> list[str]:
        wanted = (("target", self.demo), ("exporters", self.exporters), ("container-stats", self.stats))
        return [name for name, is_wanted in wanted if is_wanted]

    @staticmethod
    def named(name: str) -> "Project":
        """Load the project of that name, or create one. Raises ObswarmError for a name that Compose does not accept,
        and for a corrupt file."""
        if not _NAME.fullmatch(name):
            raise ObswarmError(
                f"--project {name}: a name consists of lower-case letters, digits, - and _, after a letter or digit."
            )
        project = Project(name)
        file = project.folder / "project.json"
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            known = {each.name for each in fields(Project)}
            return Project(**{key: value for key, value in values.items() if key in known})
        except FileNotFoundError:
            return project
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ObswarmError(f"{file} cannot be read ({error}). Remove it to start over.") from None

    @property
    def exists(self) -> bool:
        """Return whether the project was started before."""
        return (self.folder / "project.json").exists()

    def save(self) -> None:
        """Write the project's files. Raises ObswarmError if the folder is not writable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # World-readable, since containers run as other users and mount these files; the folder itself is private.
            self.folder.chmod(0o700)
            self.targets.mkdir(exist_ok=True)
            self.targets.chmod(0o755)
            _write(self.folder / "project.json", json.dumps(asdict(self), indent=2), 0o600)
            _write(
                self.folder / "stack.env", "".join(f"{k}={_quoted(v)}\n" for k, v in self.variables().items()), 0o600
            )
            _write(self.folder / "grafana_password", self.grafana_password, 0o600)
            _write(self.folder / "alerts_token", self.alerts_token, 0o644)
            _write(self.folder / "loadtest.yaml", self._environment_of_loadtests(), 0o600)
            (self.folder / "contest").mkdir(exist_ok=True)
            (self.folder / "contest").chmod(0o755)
        except OSError as error:
            where = error.filename or self.folder
            raise ObswarmError(f"{where} cannot be written: {error.strerror}. It stores the stack's tokens.") from None

    def _environment_of_loadtests(self) -> str:
        """Return a Compose file (in JSON, a subset of YAML) that extends compose.yaml."""
        values = {name: value.replace("$", "$$") for name, value in self.environment.items()}
        return json.dumps({"services": {name: {"environment": values} for name in ("master", "worker")}})

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def variables(self) -> dict[str, str]:
        """Return the variables of compose.yaml."""
        loadtest = Path(self.loadtest) if self.loadtest else None
        found: dict[str, Any] = {
            "OBSWARM_IMAGE": self.image,
            "OBSWARM_STATE": self.folder,
            "OBSWARM_WORKERS": self.workers,
            "OBSWARM_GRAFANA_PASSWORD": self.grafana_password,
            "OBSWARM_API_TOKEN": self.api_token,
            "OBSWARM_ALERTS_TOKEN": self.alerts_token,
            "OBSWARM_SECRET": self.secret,
            "OBSWARM_SIGNING_KEY": self.environment.get("OBSWARM_SIGNING_KEY", self.signing_key),
            "OBSWARM_LOADTESTS": loadtest.parent if loadtest else self.folder / "contest",
            "OBSWARM_LOADTEST": f"/loadtests/{loadtest.name}" if loadtest else "",
            "OBSWARM_HOST": "http://load-balancer:18080" if self.demo else "",
            "CONTEST_RUN": self.folder / "contest",
        }
        for name, port in self.ports.items():
            found[port_variable(name)] = port
        if self.stats:
            found["OBSWARM_DOCKER_GROUP"] = os.stat("/var/run/docker.sock").st_gid
        return {name: str(value) for name, value in found.items()}


def port_variable(name: str) -> str:
    """Return the environment variable that chooses a port."""
    return f"{name.upper()}_PORT" if name.startswith("contest_") else f"OBSWARM_{name.upper()}_PORT"


def _write(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.chmod(mode)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _quoted(value: str) -> str:
    # In single quotes, which Compose does not interpolate.
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compose_file() -> Path:
    return shipped("compose") / "compose.yaml"
