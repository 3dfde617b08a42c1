"""Run `docker compose` with the files of the stack."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

import gevent

from obswarm.stack.docker_engine import OLDEST_COMPOSE, StackError, as_numbers
from obswarm.stack.project import Project, compose_file

_SHOWN = 6


class Compose:
    """Runs `docker compose` for a project. `version` is that of the Compose plugin.

    The constructor raises StackError if there is no docker command, or if its Compose plugin is missing or too old
    (docker's own message would be about unknown options).
    """

    def __init__(self, project: Project) -> None:
        found = shutil.which("docker")
        if found is None:
            raise StackError(
                "There is no docker command on the PATH. Install it with its Compose plugin:"
                " https://docs.docker.com/compose/install/."
            )
        self._docker = found
        self._project = project
        self.version = self._checked_version()

    def command(self, *words: str) -> list[str]:
        """Return the complete command line."""
        command = [self._docker, "compose", "--project-name", self._project.name]
        file = self._project.folder / "stack.env"
        if file.exists():
            command += ["--env-file", str(file)]
        command += ["--file", str(compose_file())]
        added = self._project.folder / "loadtest.yaml"
        if added.exists():
            command += ["--file", str(added)]
        for profile in self._project.profiles:
            command += ["--profile", profile]
        return [*command, *words]

    def run(self, *words: str, profiles: Sequence[str] = ()) -> str:
        """Run a command and return its standard output. Raises StackError with its last lines if it fails."""
        command = self.command(*words)
        for profile in profiles:
            command[command.index("--file") : command.index("--file")] = ["--profile", profile]
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
            env=self._environment(),
        )
        if done.returncode:
            lines = [line for line in done.stderr.strip().splitlines() if line.strip()][-_SHOWN:]
            raise StackError("\n".join((f"docker compose {words[0]} failed:", *lines)))
        return done.stdout

    def follow(self, *words: str) -> int:
        """Run a command with its output on this terminal and return its exit code. Ctrl-C stops it, not this
        process."""
        watcher = gevent.signal_handler(signal.SIGINT, lambda: None)
        try:
            return subprocess.run(self.command(*words), check=False, env=self._environment()).returncode
        finally:
            watcher.cancel()
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _checked_version(self) -> str:
        done = subprocess.run(
            [self._docker, "compose", "version", "--short"],
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
        version, wanted = done.stdout.strip(), ".".join(map(str, OLDEST_COMPOSE))
        if done.returncode or not version:
            output = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "nothing")
            # Docker without the plugin prints either of these; the second one is misleading.
            is_missing = "is not a docker command" in output or "unknown" in output
            more = "" if is_missing else f" (docker compose version says: {output})"
            raise StackError(
                f"Docker has no Compose plugin. Install version {wanted} or later: the package docker-compose-plugin,"
                f" or https://docs.docker.com/compose/install/.{more}"
            )
        if as_numbers(version) < OLDEST_COMPOSE:
            raise StackError(f"Docker Compose {version} is too old; obswarm needs {wanted} or later.")
        return version

    def images(self) -> dict[str, str]:
        """Return the image of each service that would be started."""
        listing = self.run("config", "--format", "json")
        services = json.loads(listing)["services"]
        return {name: service["image"] for name, service in services.items()}

    def _environment(self) -> dict[str, str]:
        # The project's file has these as well, but variables of this shell would override them.
        return {**os.environ, **self._project.variables(), "COMPOSE_MENU": "false"}
