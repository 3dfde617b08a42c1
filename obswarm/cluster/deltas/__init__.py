"""Statistics on the wire: what a worker has counted since its last report, packed; and many of those, added up."""

from obswarm.cluster.deltas.packing import pack_delta, pack_table, pack_unchecked
from obswarm.cluster.deltas.summing import DeltaSum, Malformed

__all__ = ["DeltaSum", "Malformed", "pack_delta", "pack_table", "pack_unchecked"]
