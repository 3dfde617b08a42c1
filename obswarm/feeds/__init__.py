"""Test data of a load test: reads rows of files and queries, and hands them out, each to one user of the fleet."""

from obswarm.feeds.definition import LOST, ON_EXHAUSTED, POLICIES, FeedDefinition
from obswarm.feeds.quota import Quota
from obswarm.feeds.server import Answer, Call, FeedServer
from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    # Hardly any process reads rows.
    from obswarm.feeds.rows import RowReader, open_rows

__all__ = [
    "LOST",
    "ON_EXHAUSTED",
    "POLICIES",
    "Answer",
    "Call",
    "FeedDefinition",
    "FeedServer",
    "Quota",
    "RowReader",
    "open_rows",
]
