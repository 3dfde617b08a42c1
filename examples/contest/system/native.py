"""The contest as processes of this machine, on loopback. A file lists the running ones, for each command."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from system import HERE, LOOPBACK, ContestError, cgroup, load_balancer
from system.parts import BY_NAME, PARTS, SETTINGS, Part

_READY_S = 90.0
_LAST = "load-balancer"
_END_S = 20.0
_PATH = os.pathsep.join(
    (str(HERE.parent.parent / ".components" / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")
)


@dataclass(slots=True)
class Running:
    """A process, identified by its id and its start time: an id may have been reused."""

    pid: int
    started: str


@dataclass(slots=True)
class State:
    ports: dict[str, int]
    secret_key: str
    signing_key: str
    processes: dict[str, Running] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_ports() -> dict[str, int]:
    """Return the usual port of each, or a free one. Keys are `part.port`."""
    chosen: dict[str, int] = {}
    held = []
    for part in PARTS:
        for name, usual in part.ports.items():
            if _port_is_free(usual):
                chosen[f"{part.name}.{name}"] = usual
                continue
            # Open until all ports are selected, so that none is selected twice.
            probe = socket.socket()
            probe.bind((LOOPBACK, 0))
            held.append(probe)
            chosen[f"{part.name}.{name}"] = probe.getsockname()[1]
    for probe in held:
        probe.close()
    return chosen


def _started(pid: int) -> str | None:
    """Return the start time of a process; None if there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


class Native:
    """The contest with its files in a folder. Methods raise ContestError."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._state_file = run / "state.json"
        self.state: State | None = self._read()

    # Stored state.
    def _read(self) -> State | None:
        try:
            values = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ContestError(
                f"{self._state_file} cannot be read ({error}); end what runs by hand and remove it."
            ) from None
        values["processes"] = {name: Running(**each) for name, each in values["processes"].items()}
        return State(**values)

    def _keep(self) -> None:
        _write(self._state_file, json.dumps(asdict(self._up), indent=1))

    @property
    def _up(self) -> State:
        if self.state is None:
            raise ContestError("The contest is not running here; start it with `native up`.")
        return self.state

    @property
    def faults(self) -> list[str]:
        """Names of the faults that are on."""
        return self.state.faults if self.state is not None else []

    def note_faults(self, names: list[str]) -> None:
        self._up.faults = names
        self._keep()

    # Start and stop.
    def up(self) -> None:
        """Start all parts with new data, and wait until they respond; if some of a running contest have ended, start
        these, with the data that is there."""
        check_programs()
        if self.state is not None:
            ended = [name for name, runs in self.status().items() if not runs]
            if not ended:
                raise ContestError(f"It is running already ({self.run}); end it with `native down`.")
            self.start(*ended)
            return
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "log").mkdir(exist_ok=True)
        self.state = State(choose_ports(), secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        self._keep()
        try:
            self._write_settings()
            self._make_database()
            self.start(*(part.name for part in PARTS if not part.on_demand and part.name != _LAST))
            # Started after the parts that it checks: one that was down has to be healthy for a while.
            self.start(_LAST)
            self._write_for_users()
        except BaseException:
            self.down(keep_logs=True)
            raise

    def down(self, keep_logs: bool = False) -> None:
        """Stop all parts and remove their files."""
        if self.state is None:
            return
        self.stop(*reversed([part.name for part in PARTS]))
        self.state = None
        self._state_file.unlink(missing_ok=True)
        for path in self.run.iterdir():
            if path.name == "log" and keep_logs:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not keep_logs:
            with contextlib.suppress(OSError):
                self.run.rmdir()

    def status(self) -> dict[str, bool]:
        """Return whether all parts are running."""
        return {part.name: self.runs(part.name) for part in PARTS if not part.on_demand or self.runs(part.name)}

    def runs(self, name: str) -> bool:
        running = self.state.processes.get(name) if self.state is not None else None
        return running is not None and _started(running.pid) == running.started

    def url(self, name: str, port: str = "http", path: str = "") -> str:
        return f"http://{LOOPBACK}:{self._up.ports[f'{name}.{port}']}{path}"

    # For faults.
    def address(self, name: str, port: str) -> tuple[str, int]:
        return LOOPBACK, self._up.ports[f"{name}.{port}"]

    def sql(self, statements: str) -> None:
        client = shutil.which("mariadb", path=_PATH)
        assert client is not None
        done = subprocess.run(
            [client, "--no-defaults", f"--socket={self.run}/database.sock", "--user=root"],
            input=statements,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise ContestError(f"The database refuses: {done.stderr.strip()}")

    def change(self, **settings: float | str) -> None:
        self._up.settings.update(settings)
        self._keep()
        self._write_settings()

    def restore(self, *names: str) -> None:
        for name in names:
            self._up.settings.pop(name, None)
        self._keep()
        self._write_settings()

    def balance(self, command: str) -> None:
        load_balancer.tell(self.address("load-balancer", "admin"), command)

    def limit_cpu(self, name: str, cores: float | None) -> None:
        cgroup.limit(self._up.processes[name].pid, f"obswarm-contest-{name}", cores)

    def start(self, *names: str) -> None:
        """Start parts, and wait until they are ready."""
        for name in names:
            if not self.runs(name):
                self._start(BY_NAME[name])
        for name in names:
            self._wait_until_ready(BY_NAME[name])

    def stop(self, *names: str) -> None:
        """Stop parts with all their processes; kill those that do not end."""
        for name in names:
            if self.runs(name):
                self._end(self._up.processes[name].pid)
            if self._up.processes.pop(name, None) is not None:
                self._keep()

    # Processes.
    def _start(self, part: Part) -> None:
        program = find_program(part)
        assert program is not None
        values = self._values(part)
        environment = {name: text.format_map(values) for name, text in part.environment.items()}
        # Remove the counts of processes that have ended.
        shutil.rmtree(values["counters"], ignore_errors=True)
        values["counters"].mkdir(parents=True)
        values["files"].mkdir(exist_ok=True)
        for name, text in part.files.items():
            _write(values["files"] / name, text.format_map(values))
        command = [program, *(text.format_map(values) for text in part.arguments)]
        if part.name == "database" and os.getuid() == 0:
            command.append("--user=root")
        with open(self._log(part.name), "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": _PATH, **environment},
                # A process group of its own: its children are stopped with it, and Ctrl-C does not reach it.
                start_new_session=True,
            )
        self._up.processes[part.name] = Running(process.pid, _started(process.pid) or "")
        self._keep()

    def _values(self, part: Part) -> dict[str, Any]:
        state = self._up
        values: dict[str, Any] = {
            each.name: SimpleNamespace(
                host=LOOPBACK, **{name: state.ports[f"{each.name}.{name}"] for name in each.ports}
            )
            for each in PARTS
        }
        settings = {**SETTINGS, **state.settings, "secret_key": state.secret_key, "signing_key": state.signing_key}
        return {
            **values,
            "self": values[part.name],
            "contest": SimpleNamespace(**settings),
            "listen": LOOPBACK,
            "app": HERE / "app",
            "conf": HERE / "conf",
            "run": self.run,
            "counters": self.run / "counters" / part.name,
            "files": self.run / "files",
        }

    def _log(self, name: str) -> Path:
        return self.run / "log" / f"{name}.log"

    def _fail(self, part: Part, what: str) -> None:
        log = self._log(part.name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        raise ContestError("\n".join((f"{part.name} {what}. The end of {log}:", *lines)))

    def _wait_until_ready(self, part: Part) -> None:
        deadline = time.monotonic() + _READY_S
        while not self._is_ready(part):
            if not self.runs(part.name):
                self._fail(part, "ended by itself")
            if time.monotonic() > deadline:
                self._fail(part, f"was not ready after {_READY_S:.0f} s")
            time.sleep(0.05)

    def _is_ready(self, part: Part) -> bool:
        if part.ready is not None:
            try:
                with urllib.request.urlopen(self.url(part.name, *part.ready), timeout=2):
                    return True
            except (OSError, urllib.error.HTTPError):
                return False
        for port in part.ports:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(self.address(part.name, port)) != 0:
                    return False
        return True

    @staticmethod
    def _end(pid: int) -> None:
        deadline = time.monotonic() + _END_S
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if kind == signal.SIGTERM:
                    os.kill(pid, kind)
                else:
                    os.killpg(pid, kind)
            while _started(pid) is not None and time.monotonic() < deadline:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                time.sleep(0.02)
        # Files that it may have left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _make_database(self) -> None:
        install = shutil.which("mariadb-install-db", path=_PATH)
        assert install is not None
        folder = self.run / "database"
        shutil.rmtree(folder, ignore_errors=True)
        command = [install, "--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal"]
        if os.getuid() == 0:
            command.append("--user=root")
        done = subprocess.run([*command, "--skip-test-db"], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise ContestError(f"The database cannot be made: {(done.stderr or done.stdout).strip()[-2000:]}")
        self.start("database")
        for name in ("schema.sql", "data.sql"):
            self.sql((HERE / "conf" / name).read_text())

    def _write_settings(self) -> None:
        _write(self.run / "settings.json", json.dumps(self._up.settings, indent=1))

    def _write_for_users(self) -> None:
        """Write obswarm.toml with the selected ports and the key for signed requests."""
        text = (HERE / "obswarm.toml").read_text()
        for part in PARTS:
            for name, usual in part.ports.items():
                text = text.replace(f"{LOOPBACK}:{usual}/", f"{LOOPBACK}:{self._up.ports[f'{part.name}.{name}']}/")
        _write(self.run / "obswarm.toml", text)
        _write(self.run / "signing.key", self._up.signing_key)


def _write(path: Path, text: str) -> None:
    """Replace the file atomically, with mode 0600."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)


def find_program(part: Part) -> str | None:
    found = (shutil.which(name, path=_PATH) for name in part.program)
    return next((path for path in found if path is not None), None)


def check_programs(parts: Mapping[str, Part] = BY_NAME) -> None:
    """Raise ContestError with the missing programs, and how to install them."""
    missing = [part for part in parts.values() if find_program(part) is None]
    names = [part.program[0] for part in missing]
    packages = [part.package for part in missing]
    if shutil.which("uwsgi", path=_PATH) and not _has_libraries():
        names.append("Flask, PyMySQL and prometheus-client for the system's Python")
        packages.append("uwsgi-plugin-python3 python3-flask python3-pymysql python3-prometheus-client")
    if names:
        wanted = " ".join(dict.fromkeys(" ".join(packages).split()))
        raise ContestError(
            f"Missing: {', '.join(dict.fromkeys(names))}. On Debian and Ubuntu: apt-get install {wanted}"
        )


def _has_libraries() -> bool:
    """Return whether the Python of Debian's uWSGI has the libraries of the application."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import flask, pymysql, prometheus_client"], capture_output=True, check=False
    )
    return done.returncode == 0
