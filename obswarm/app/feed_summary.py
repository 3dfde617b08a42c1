"""FeedSummary: says at the end of a run how many rows its feeds have handed out."""

import logging
from dataclasses import replace

from obswarm.engine import Output, RunResult
from obswarm.feeds import FeedServer

logger = logging.getLogger(__name__)


class FeedSummary(Output):
    """Logs a sentence for each feed, and removes what a master has noted of the run's rows."""

    name = "The summary of feeds"
    required = False

    def __init__(self, server: FeedServer) -> None:
        self._server = server
        self._has_ended = False

    def completed(self, result: RunResult) -> RunResult:
        """Return the result with the use of the feeds' rows."""
        return replace(result, feeds=self._server.use())

    def finish(self, result: RunResult) -> None:
        for sentence in self._server.summary():
            logger.info("%s", sentence)
        self._has_ended = True

    def close(self) -> None:
        # After the end of a run, the file is removed when that of its statistics has been: a master that is killed
        # before leaves both to the next one.
        if self._has_ended:
            self._server.finish()
        else:
            self._server.close()
