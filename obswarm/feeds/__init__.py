"""Test data of a load test: reads rows of files and queries, and hands them out, each to one user of the fleet."""

from obswarm.feeds.definition import LOST, ON_EXHAUSTED, POLICIES, FeedDefinition
from obswarm.feeds.quota import Quota
from obswarm.feeds.rows import RowReader, open_rows
from obswarm.feeds.server import Answer, Call, FeedServer

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
