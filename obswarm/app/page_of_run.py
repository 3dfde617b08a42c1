"""Whether a single run has a page."""

from typing import TYPE_CHECKING

from obswarm.app.page_access import access_of
from obswarm.app.planning import RunPlan
from obswarm.cluster import is_loopback
from obswarm.config import RunConfig

if TYPE_CHECKING:
    from obswarm.app.page import Page


def page_of(config: RunConfig, plan: RunPlan) -> "Page | None":
    """Return the page of a single run; None with --headless, or if other machines could use it without access.
    Raises ObswarmError for invalid options about access."""
    # Others may read /metrics, and see no page.
    if config.outputs.headless or (not is_loopback(config.metrics.metrics_addr) and not access_of(config).required):
        return None
    # Not for runs without a page: it imports msgspec.
    from obswarm.app.page import Page

    page = Page(config)
    page.know(plan, config)
    return page
