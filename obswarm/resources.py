"""Locations of files shipped with the package: Compose stack, Helm chart, dashboards and rules, contest."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return a top-level folder of the repository (`charts`, `compose`, `dashboards`, `examples`); in a wheel it is
    inside the package."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name
