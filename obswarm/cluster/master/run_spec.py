"""What a registry of workers is given: what to tell workers that come, and how to send."""

from dataclasses import dataclass
from typing import Protocol

from obswarm import defaults
from obswarm.cluster.bundle import Packed


class Wire(Protocol):
    """The transport, as far as a registry needs it."""

    def send(self, peer: bytes, frame: bytes) -> bool:
        """False when nobody is connected under that name any more."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What workers are told when they come. `job` says what to run (see obswarm.cluster.job)."""

    run_id: str
    job: bytes
    bundle: Packed | None
    file_hash: str
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S
