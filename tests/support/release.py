"""Builds obswarm's distributions and tries out an installed wheel, as a user has it: `make dist`, and tests.

`python -m tests.support.release FOLDER` builds into that folder, installs the wheel in a new environment and runs
the demo, `up --help`, a load test and its report from there.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obswarm import __version__
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, CountingServer

UNRELEASED = "Unreleased"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
WITHOUT_COMPILER = ("--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Distribution:
    """The files of one version."""

    wheel: Path
    sdist: Path


def build_distribution(folder: Path) -> Distribution:
    """Build both from the checkout, and a second wheel from the source distribution alone.

    Raises AssertionError unless both wheels are the same to the byte, and CalledProcessError when a build fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _build(ROOT, folder, "--sdist", "--wheel")
    built = Distribution(
        folder / f"obswarm-{__version__}-py3-none-any.whl",
        folder / f"obswarm-{__version__}.tar.gz",
    )
    with tempfile.TemporaryDirectory(prefix="obswarm-sdist-") as there:
        shutil.unpack_archive(built.sdist, there, filter="data")
        again = Path(there, "again")
        _build(Path(there, f"obswarm-{__version__}"), again, "--wheel")
        assert _digest(again / built.wheel.name) == _digest(built.wheel), "the source distribution makes another wheel"
    return built


def _build(source: Path, into: Path, *what: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", *what, "--outdir", into, source], check=True, stdout=subprocess.DEVNULL
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_environment(folder: Path, *requirements: object) -> Path:
    """Make a virtual environment with the requirements, of which none may need a compiler. Return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, *PIP, *WITHOUT_COMPILER, *requirements]
    subprocess.run(install, check=True, capture_output=True, timeout=300, env=user_environment(python))
    return python


def user_environment(python: Path) -> dict[str, str]:
    """Return the environment of a user who has this interpreter and no other program: no Node.js, compiler or git."""
    path = str(python.parent)
    assert not any(shutil.which(program, path=path) for program in ("node", "npm", "cc", "gcc", "git"))
    ours = ("OBSWARM_", "PYTHON", "VIRTUAL_ENV")
    return {name: text for name, text in os.environ.items() if not name.startswith(ours)} | {"PATH": path}


def run_installed(python: Path, cwd: Path, *arguments: object, codes: Sequence[int] = (0,)) -> str:
    """Run the `obswarm` of an environment in a folder outside the checkout. Return its standard output.

    Raises AssertionError when the exit code is not one of `codes`.
    """
    command = [python.parent / "obswarm", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=user_environment(python), capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert done.returncode in codes, (arguments, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def try_out(python: Path, cwd: Path, *demo_options: str, demo_codes: Sequence[int] = (0,)) -> None:
    """Run what a user tries first: the demo, `up --help`, a load test, and what it leaves in the store.

    Raises AssertionError when one of them fails, or the report lacks its charts.
    """
    assert run_installed(python, cwd, "--version").split()[-1] == __version__
    demo = run_installed(python, cwd, "demo", "--headless", "--json", "demo.json", *demo_options, codes=demo_codes)
    assert "Aggregated" in demo
    assert json.loads((cwd / "demo.json").read_text())["totals"]["requests"] > 100
    assert "--demo" in run_installed(python, cwd, "up", "--help")
    shutil.copy(ROOT / "examples" / "basic.py", cwd / "loadtest.py")
    with CountingServer() as target:
        run_installed(
            *(python, cwd, "run", "-H", target.url, "-u", "4", "-r", "4", "-t", "3s", "--workers", "2"),
            *("--headless", "--linger", "0", "--json", "result.json"),
        )
        counted = target.total()
    result = json.loads((cwd / "result.json").read_text())
    assert result["totals"]["requests"] == counted > 0
    (report,) = (cwd / ".obswarm").rglob("*.html")
    check_report(report, result["run_id"])
    run_installed(python, cwd, "report", result["run_id"], "-o", "again.html")
    check_report(cwd / "again.html", result["run_id"])


def check_report(path: Path, run_id: str) -> None:
    """Raise AssertionError unless it is the report of that run, and has uPlot's script and style in it."""
    page = path.read_text(encoding="utf-8")
    assert run_id in page
    assert "uPlot" in page
    assert ".u-legend" in page


def check_changelog() -> None:
    """Raise AssertionError unless the changes of this version stand in CHANGELOG.md under its number."""
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [heading for heading in headings if heading != UNRELEASED]
    assert released, "CHANGELOG.md has no released version"
    assert released[0].startswith(f"{__version__} ("), f"CHANGELOG.md has no heading of {__version__}, with its date"


def main(folder: Path) -> None:
    check_changelog()
    built = build_distribution(folder)
    with tempfile.TemporaryDirectory(prefix="obswarm-dist-") as there:
        python = make_environment(Path(there, "venv"), built.wheel)
        cwd = Path(there, "user")
        cwd.mkdir()
        try_out(python, cwd)
    for path in (built.wheel, built.sdist):
        print(f"{_digest(path)}  {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
