"""Test data of a load test: reads rows of files and queries, and hands them out, each to one user of the fleet."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    # Workers hand out no rows, and hardly any process reads them.
    from obswarm.feeds.calls import Answer, Call
    from obswarm.feeds.definition import LOST, ON_EXHAUSTED, POLICIES, FeedDefinition
    from obswarm.feeds.quota import Quota
    from obswarm.feeds.rows import RowReader, open_rows
    from obswarm.feeds.server import FeedServer

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
