"""`locust.opentelemetry`."""

import logging

logger = logging.getLogger(__name__)

__all__ = ["setup_opentelemetry"]


def setup_opentelemetry(locustfile: str, profile: str | None) -> bool:
    """Return False: what a run exports is set up with it, by the option --otlp."""
    logger.error("OpenTelemetry is not set up by a load test: --otlp sends metrics and spans of its run.")
    return False
