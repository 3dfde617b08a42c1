"""RunSpec: what a master sends to workers that register; Wire: how its registry sends."""

from dataclasses import dataclass
from typing import Protocol

from obswarm import defaults
from obswarm.cluster.bundle import Packed


class Wire(Protocol):
    """The part of the transport that a registry needs."""

    def send(self, peer: bytes, frame: bytes) -> bool:
        """Send a frame. Returns False if the peer is no longer connected."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """The specification of a run for workers. `job` is a packed obswarm.cluster.job.Job."""

    run_id: str
    job: bytes
    bundle: Packed | None
    file_hash: str
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S
