"""The contest's parts: described once, run as processes of this machine or as Compose services. Needs Python alone."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
"""The folder of the example."""

LOOPBACK = "127.0.0.1"


class ContestError(Exception):
    """An error that the user can correct; its text is a sentence."""
