"""The contest of the examples, as its own command starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.programs import ROOT

FOLDER = ROOT / "examples" / "contest"


class Contest:
    """Runs while a `with` block lasts, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        # The scripts are for any Python; this one is sure to be there.
        return subprocess.run(
            [sys.executable, FOLDER / "native", "--run", self.folder, *words],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def must(self, *words: str) -> str:
        done = self.command(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def __enter__(self) -> Self:
        self.must("up")
        return self

    def __exit__(self, *_: object) -> None:
        self.must("down")

    def ended(self) -> dict[str, str]:
        """The parts that have ended by themselves, with the last lines of their logs."""
        status = self.command("status").stdout
        names = [line.split()[1] for line in status.splitlines() if line.startswith("DOWN")]
        logs = {name: self.folder / "log" / f"{name}.log" for name in names}
        return {name: "\n".join(log.read_text(errors="replace").splitlines()[-30:]) for name, log in logs.items()}

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    def port(self, part: str, name: str = "http") -> int:
        port: int = self.state["ports"][f"{part}.{name}"]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port('load-balancer')}"

    @property
    def key(self) -> str:
        return (self.folder / "signing.key").read_text()

    @property
    def metrics(self) -> tuple[str, ...]:
        """What Prometheus has to scrape, under the jobs of `obswarm up --demo`."""
        clusters = {letter: self.port(f"cluster-{letter}", "metrics") for letter in "ab"}
        others = {"haproxy": "load-balancer", "mysql": "database-exporter", "node": "node-exporter"}
        return (
            *(f"app {letter}=127.0.0.1:{port}" for letter, port in clusters.items()),
            *(f"uwsgi {letter}=127.0.0.1:{port}/uwsgi/metrics" for letter, port in clusters.items()),
            *(f"{job}=127.0.0.1:{self.port(part, 'metrics')}" for job, part in others.items()),
        )

    def run(self, loadtest: Path, *options: object, guarded: bool = True) -> "subprocess.Popen[bytes]":
        """obswarm against it, with the contest's guards or without any; the log is run.log in the folder."""
        settings = ["--config", self.folder / "obswarm.toml"] if guarded else []
        words = ["run", loadtest, "-H", self.url, "--headless", *settings, *options]
        with open(self.log_file, "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "obswarm", *map(str, words)],
                stdout=log,
                stderr=log,
                cwd=self.folder / "log",
                env={**os.environ, "OBSWARM_SIGNING_KEY": self.key},
            )

    @property
    def log_file(self) -> Path:
        return self.folder / "run.log"
