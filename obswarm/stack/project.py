"""One Compose project of ours: its name, its ports, its secrets, and the folder that keeps them between commands."""

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
"""Of the demo's target: the ports that its Compose file publishes."""

HOST_NAME = "host.docker.internal"
"""What containers call the machine that they run on."""


def _home() -> Path:
    named = os.environ.get("OBSWARM_STATE_HOME")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "obswarm"


@dataclass(slots=True)
class Project:
    """`loadtest` is the file that is mounted, with its folder; `exporters` and `stats` say what else runs;
    `environment` are variables that the load test is given.

    `save` writes a file with mode 0600 in a folder with mode 0700: tokens are in it.
    """

    name: str = DEFAULT_PROJECT
    workers: int = 1
    gateway: str | None = None
    """The address of this machine at which containers reach it."""
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
        """Where Prometheus finds what to scrape."""
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
        return [name for name, here in wanted if here]

    @staticmethod
    def named(name: str) -> "Project":
        """The one that was started under that name, or a new one. Raises ObswarmError for a name that Compose would
        not take, and for a file that is damaged."""
        if not _NAME.fullmatch(name):
            raise ObswarmError(
                f"--project {name}: a name has small letters, digits, - and _, and begins with a letter or a digit."
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
            raise ObswarmError(f"{file} cannot be read ({error}). Remove it to start anew.") from None

    @property
    def exists(self) -> bool:
        """Whether it was started before."""
        return (self.folder / "project.json").exists()

    def save(self) -> None:
        """Raises ObswarmError when the folder cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Containers run as other users, and read what is mounted into them from in here; nobody else gets in.
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
            raise ObswarmError(f"{where} cannot be written: {error.strerror}. It keeps the stack's tokens.") from None

    def _environment_of_loadtests(self) -> str:
        """A Compose file, which JSON is one as well, that adds to compose.yaml."""
        values = {name: value.replace("$", "$$") for name, value in self.environment.items()}
        return json.dumps({"services": {name: {"environment": values} for name in ("master", "worker")}})

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def variables(self) -> dict[str, str]:
        """What compose.yaml asks for."""
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
    """Of the environment, by which a port is chosen."""
    return f"{name.upper()}_PORT" if name.startswith("contest_") else f"OBSWARM_{name.upper()}_PORT"


def _write(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.chmod(mode)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _quoted(value: str) -> str:
    # Single quotes: Compose interpolates nothing in them.
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compose_file() -> Path:
    return shipped("compose") / "compose.yaml"
