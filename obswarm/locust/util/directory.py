"""`locust.util.directory`."""

import os
from pathlib import Path


def get_abspaths_in(path: str, extension: str | None = None) -> list[str]:
    """Return the absolute paths of the files below a folder, sorted; only those that end in `extension` if given."""
    return sorted(os.path.abspath(file) for file in Path(path).rglob(f"*{extension or ''}") if file.is_file())
