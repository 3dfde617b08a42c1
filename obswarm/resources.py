"""Where the files are that are shipped with the package: the Compose stack, dashboards and rules, the contest."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """A top-level folder of the repository (`compose`, `dashboards`, `examples`), which a wheel holds inside the
    package."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name
