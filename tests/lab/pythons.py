"""`make lab-pythons`: unit tests on the Pythons of Debian's releases and of its development branch.

Each Python has a Debian root of its own, in which the source distribution is unpacked and installed, and its unit tests
run with warnings as errors. The newest Python of the development branch has no wheel for some of the dependencies;
those are compiled. It needs Linux, root, debootstrap, unshare, and 3 GB in the folder for temporary files.

OBSWARM_LAB_PYTHONS chooses some by version (`3.13 newest`), PYTEST_FLAGS narrows the tests down.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.debian import debian_mirror
from tests.support.prometheus import program
from tests.support.release import build_distribution

NEWEST = "newest"
SYSTEMS = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid", NEWEST: "sid"}
"""Where each version of Python comes from."""

COMPILERS = ("g++", "libre2-dev", "libabsl-dev", "pybind11-dev")
"""For dependencies that have no wheel: google-re2, zstandard."""

_LONGEST_S = {"root": 600, "packages": 600, "installation": 900, "tests": 1800}
_FROM_THIS_MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_MAX_SHOWN = 200_000
_NO_UNIT_TESTS = ("integration", "e2e", "lab")
_APT_UPDATE = "apt-get -o Acquire::Check-Valid-Until=false update -qq"
"""A mirror may be a snapshot of some day."""

_OWN_NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
_ENTER = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -euc "$1"'


class Outcome(NamedTuple):
    """What came of one Python: its own version, and pytest's last line or what failed."""

    version: str
    passed: bool
    text: str


def main() -> int:
    refusal = _why_not()
    if refusal is not None:
        print(f"Refused: {refusal}", file=sys.stderr)
        return 2
    chosen = os.environ.get("OBSWARM_LAB_PYTHONS", "").split() or list(SYSTEMS)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="obswarm-pythons-") as present:
        folder = Path(present)
        sdist = build_distribution(folder / "dist").sdist
        roots: dict[str, Path] = {}
        for name in chosen:
            suite = SYSTEMS[name]
            if suite not in roots:
                roots[suite] = folder / suite
                _make_root(suite, roots[suite])
            outcomes.append(_outcome(name, roots[suite], sdist))
            print(f"Python {outcomes[-1].version} of {suite}: {outcomes[-1].text}", flush=True)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _why_not() -> str | None:
    """Return why this machine cannot do it; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs root on Linux, for chroot."
    for needed in ("unshare", "debootstrap"):
        if shutil.which(needed, path=_path()) is None:
            return f"the program {needed} is missing."
    return None


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _make_root(suite: str, root: Path) -> None:
    """Raises CalledProcessError, and TimeoutExpired."""
    print(f"Making a root of Debian {suite} …", flush=True)
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root, debian_mirror()],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_LONGEST_S["root"],
        env={**os.environ, "PATH": _path()},
    )
    for path in _FROM_THIS_MACHINE:
        if Path(path).exists():
            shutil.copyfile(path, root / path[1:])
    shutil.copy(program("promtool"), root / "usr" / "local" / "bin")
    # The package index may be reached through a proxy that signs for it.
    shutil.copyfile(os.environ.get("PIP_CERT") or _AUTHORITIES, root / "authorities.pem")


def _outcome(name: str, root: Path, sdist: Path) -> Outcome:
    version = _newest(root) if name == NEWEST else name
    python = f"python{version}"
    home = root / python
    home.mkdir()
    shutil.unpack_archive(sdist, home, filter="data")
    (tree,) = home.iterdir()
    packages = [f"{python}-venv", "git"]
    if name == NEWEST:
        packages += [f"{python}-dev", *COMPILERS]
    inside = f"cd /{python}/{tree.name} && venv=/{python}/venv/bin"
    ignored = " ".join(f"--ignore tests/{folder}" for folder in _NO_UNIT_TESTS)
    flags = os.environ.get("PYTEST_FLAGS", "")
    steps = {
        "packages": f"{_APT_UPDATE} && apt-get install -qq --no-install-recommends {shlex.join(packages)}",
        "installation": f"{inside} && {python} -m venv /{python}/venv && $venv/pip install --quiet --editable '.[dev]'",
        "tests": f"{inside} && $venv/python -X dev -c 'import sys; print(sys.version)'"
        f" && $venv/python -m pytest -q --tb=short -p no:cacheprovider tests {ignored} {flags}",
    }
    for step, script in steps.items():
        began = time.monotonic()
        try:
            done = _run_inside(root, script, _LONGEST_S[step])
        except subprocess.TimeoutExpired:
            return Outcome(version, False, f"{step}: not done after {_LONGEST_S[step]} s")
        if done.returncode:
            print(done.stdout[-_MAX_SHOWN:], flush=True)
            last = done.stdout.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return Outcome(version, False, f"{step} failed: {last[0]}")
    return Outcome(version, True, f"{done.stdout.strip().splitlines()[-1]} ({time.monotonic() - began:.0f} s)")


def _newest(root: Path) -> str:
    """Return the highest version of Python among the packages of a root."""
    listed = _run_inside(root, f"{_APT_UPDATE} && apt-cache pkgnames python3.", _LONGEST_S["packages"])
    found = re.findall(r"^python3\.(\d+)$", listed.stdout, re.MULTILINE)
    return f"3.{max(map(int, found))}"


def _run_inside(root: Path, script: str, longest_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a script of the shell in a root, in namespaces that end with it. Output and errors are one text."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_CERT": "/authorities.pem",
    }
    return subprocess.run(
        [*_OWN_NAMESPACES, "sh", "-c", _ENTER, root, script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=longest_s,
        check=False,
        env=environment,
    )


if __name__ == "__main__":
    sys.exit(main())
