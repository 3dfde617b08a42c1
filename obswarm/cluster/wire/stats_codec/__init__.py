"""Statistics on the wire: what a worker has counted since its last report, packed; and many of those, added up."""

from obswarm.cluster.wire.stats_codec.packing import pack_delta, pack_table, pack_unchecked
from obswarm.cluster.wire.stats_codec.summing import DeltaSum, Malformed

__all__ = ["DeltaSum", "Malformed", "pack_delta", "pack_table", "pack_unchecked"]
