"""`locust.util.directory`."""

import os
from pathlib import Path


def get_abspaths_in(path: str, extension: str | None = None) -> list[str]:
    """Return the absolute paths of the files below a folder, sorted, without those whose names begin with `_`; only
    those that end in `extension` if given."""
    found = Path(path).rglob(f"*{extension or ''}")
    return sorted(os.path.abspath(file) for file in found if file.is_file() and not file.name.startswith("_"))
