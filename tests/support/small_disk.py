"""A disk of a few kilobytes that can be filled."""

import subprocess
from pathlib import Path
from typing import Self


class SmallDisk:
    """A file system of its own at `path` while a `with` block lasts. Needs root's rights."""

    def __init__(self, path: Path, size: str = "256k") -> None:
        self.path = path
        self._size = size
        self._filling = path / "filling"

    def __enter__(self) -> Self:
        self.path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.path)], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """To the last byte."""
        with open(self._filling, "ab", buffering=0) as filling:
            try:
                while True:
                    filling.write(b"x" * 512)
            except OSError:
                return

    def make_room(self) -> None:
        self._filling.unlink(missing_ok=True)
