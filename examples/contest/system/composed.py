"""The contest as Compose services: the content of compose.yaml, and faults in the containers."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from system import HERE, LOOPBACK, ContestError, load_balancer
from system.parts import BY_NAME, PARTS, SETTINGS, Part

PROFILE = "target"
FAULT_PROFILE = "fault"
_ALL = ("--profile", PROFILE, "--profile", FAULT_PROFILE)
APP_IMAGE = "obswarm-contest:latest"
FILES = "conf/composed"
TARGET_LABEL = "io.obswarm.target"
"""Label of the containers whose resource usage `obswarm container-stats` exports."""

_INSIDE = "/contest"
_KEY_VARIABLE = "OBSWARM_SIGNING_KEY"
_PERIOD_US = 100_000
_NO_QUOTA = -1


class _Variables:
    """A setting in compose.yaml is a variable of the environment, CONTEST_…, with its usual value."""

    secret_key = "${CONTEST_SECRET_KEY:-contest}"
    signing_key = "${OBSWARM_SIGNING_KEY:-}"

    def __getattr__(self, name: str) -> str:
        return f"${{{variable(name)}:-{SETTINGS[name]}}}"


def variable(setting: str) -> str:
    return f"CONTEST_{setting.upper()}"


def port_variable(part: Part, port: str) -> str:
    """Return the environment variable that selects the port of this machine for a part's port."""
    return variable(f"{part.name.replace('-', '_')}_{port}_port")


def files() -> dict[str, str]:
    """Configuration files by name, for the folder FILES."""
    return {name: text.format_map(_values(part)) for part in PARTS for name, text in part.files.items()}


def services() -> dict[str, Any]:
    """The `services` of compose.yaml."""
    return {part.name: _service(part) for part in PARTS}


def _values(part: Part) -> dict[str, Any]:
    """Return the values of placeholders in a container."""
    places = {each.name: SimpleNamespace(host=each.name, **each.ports) for each in PARTS}
    return {
        **places,
        "self": places[part.name],
        "contest": _Variables(),
        "listen": "0.0.0.0",
        "app": f"{_INSIDE}/app",
        "conf": f"{_INSIDE}/conf",
        "run": f"{_INSIDE}/run",
        "counters": f"{_INSIDE}/counters",
        "files": f"{_INSIDE}/files",
    }


def _service(part: Part) -> dict[str, Any]:
    values = _values(part)
    filled = [text.format_map(values) for text in part.image_command or part.arguments]
    service: dict[str, Any] = {"profiles": [FAULT_PROFILE if part.on_demand else PROFILE]}
    if part.image is None:
        service["image"] = APP_IMAGE
        service["build"] = {"context": "."}
        service["command"] = [part.program[0], *filled]
    else:
        service["image"] = f"${{{variable(part.name.replace('-', '_'))}_IMAGE:-{part.image}}}"
        service["command"] = filled
    if part.user is not None:
        service["user"] = part.user
    environment = {name: text.format_map(values) for name, text in part.environment.items()}
    environment.update(part.image_environment)
    if environment:
        service["environment"] = environment
    if part.ports:
        # The statistics of uWSGI are read inside of its container.
        service["ports"] = [
            f"{LOOPBACK}:${{{port_variable(part, name)}:-{port}}}:{port}"
            for name, port in part.ports.items()
            if name != "stats"
        ]
    volumes = list(part.volumes)
    texts = (*part.arguments, *part.environment.values())
    volumes.extend(f"./{name}:{_INSIDE}/{name}:ro" for name in ("app", "conf") if f"{{{name}}}" in " ".join(texts))
    if part.files:
        volumes.append(f"./{FILES}:{_INSIDE}/files:ro")
    if part.image is None and any("{run}" in text for text in texts):
        volumes.append(f"${{CONTEST_RUN:-./.run}}:{_INSIDE}/run:ro")
    if volumes:
        service["volumes"] = volumes
    if any("{counters}" in text for text in part.environment.values()):
        service["tmpfs"] = [f"{_INSIDE}/counters:mode=1777"]
    needed = {other: {"condition": "service_healthy"} for other in _needs(part)}
    if needed:
        service["depends_on"] = needed
    check = _health_check(part, values)
    if check is not None:
        service["healthcheck"] = {"test": check, "interval": "2s", "timeout": "2s", "retries": 5, "start_period": "90s"}
    service["labels"] = {TARGET_LABEL: ""}
    service["security_opt"] = ["no-new-privileges:true"]
    service["cap_drop"] = ["ALL"]
    service["restart"] = "no"
    return service


def _needs(part: Part) -> Iterator[str]:
    """Return the parts whose addresses a part needs."""
    texts = " ".join((*part.arguments, *part.environment.values(), *part.files.values()))
    for other in PARTS:
        if other is not part and f"{{{other.name}." in texts:
            yield other.name


def _health_check(part: Part, values: dict[str, Any]) -> list[str] | None:
    if part.healthy is not None:
        return ["CMD", *(text.format_map(values) for text in part.healthy)]
    if part.ready is None:
        return None
    name, path = part.ready
    port = part.ports[name]
    if part.image is None:
        question = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}{path}', timeout=1)"
        return ["CMD", "python3", "-c", question]
    if part.name == "load-balancer":
        # Its image has neither a Python nor a client for HTTP.
        return ["CMD", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]
    return ["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}{path}"]


class Composed:
    """The running services; changes by faults are stored in a folder that is mounted in the containers."""

    def __init__(self, run: Path, file: Path = HERE / "compose.yaml") -> None:
        self.run = run
        self._file = file
        self._state_file = run / "compose.json"
        self._key_file = run / "signing.key"
        self.faults: list[str] = []
        self._settings: dict[str, Any] = {}
        if self._state_file.exists():
            state = json.loads(self._state_file.read_text())
            self.faults, self._settings = state["faults"], state["settings"]

    def up(self) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        if not self._key_file.exists():
            self._key_file.touch(mode=0o600)
            self._key_file.write_text(os.environ.get(_KEY_VARIABLE) or secrets.token_urlsafe(24))
        self._compose("--profile", PROFILE, "up", "--detach", "--wait")

    def down(self) -> None:
        self._compose(*_ALL, "down", "--volumes", "--timeout", "5")
        for path in (self._state_file, self.run / "settings.json", self._key_file):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.run.rmdir()

    def status(self) -> str:
        return self._compose(*_ALL, "ps")

    def note_faults(self, names: list[str]) -> None:
        self.faults = names
        self._keep()

    # For faults.
    def address(self, name: str, port: str) -> tuple[str, int]:
        return name, BY_NAME[name].ports[port]

    def sql(self, statements: str) -> None:
        self._compose("exec", "--no-TTY", "database", "mariadb", "--user=root", text=statements)

    def change(self, **settings: float | str) -> None:
        self._settings.update(settings)
        self._keep()

    def restore(self, *names: str) -> None:
        for name in names:
            self._settings.pop(name, None)
        self._keep()

    def balance(self, command: str) -> None:
        load_balancer.tell((LOOPBACK, BY_NAME["load-balancer"].ports["admin"]), command)

    def limit_cpu(self, name: str, cores: float | None) -> None:
        container = self._compose("ps", "--quiet", name).strip()
        quota = _NO_QUOTA if cores is None else round(cores * _PERIOD_US)
        self._docker("update", f"--cpu-period={_PERIOD_US}", f"--cpu-quota={quota}", container)

    def start(self, *names: str) -> None:
        self._compose(*_ALL, "up", "--detach", "--wait", "--no-deps", "--force-recreate", *names)

    def stop(self, *names: str) -> None:
        self._compose(*_ALL, "stop", "--timeout", "5", *names)

    def _keep(self) -> None:
        self._state_file.write_text(json.dumps({"faults": self.faults, "settings": self._settings}))
        (self.run / "settings.json").write_text(json.dumps(self._settings))

    def _compose(self, *words: str, text: str | None = None) -> str:
        return self._docker("compose", "--file", str(self._file), *words, text=text)

    def _docker(self, *words: str, text: str | None = None) -> str:
        docker = shutil.which("docker")
        if docker is None:
            raise ContestError("There is no docker on the PATH; install Docker Engine and its Compose plugin.")
        settings = {variable(name): str(value) for name, value in self._settings.items()}
        key = {_KEY_VARIABLE: self._key_file.read_text()} if self._key_file.exists() else {}
        done = subprocess.run(
            [docker, *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **settings, **key, "CONTEST_RUN": str(self.run)},
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()[-3:]
            raise ContestError("\n".join((f"docker {' '.join(words)} failed:", *lines)))
        return done.stdout
