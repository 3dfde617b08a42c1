"""Trace context (https://www.w3.org/TR/trace-context/): a share of the requests carries a trace id to the target."""

import random
from collections.abc import Callable
from typing import Any

HEADER = "traceparent"


def parse_share(text: str) -> float:
    """Parse a share such as `1%` or `0.01`. Raises ValueError with a sentence when it is none, or not within 0 to 1."""
    compact = text.strip().replace(" ", "")
    try:
        share = float(compact.removesuffix("%")) / (100 if compact.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{text!r} is not a share; write it like 1% or 0.01") from None
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r}: a share lies between 0 and 100%")
    return share


class TraceSampler:
    """Decides for each request whether it is traced."""

    def __init__(self, share: float, draw: Callable[[], float] = random.random) -> None:
        self._share = share
        self._draw = draw

    def sample(self, headers: Any = None) -> str | None:
        """Return a new trace id (32 hexadecimal digits), or None when this request is not among the sampled ones, or
        its own headers have a trace already."""
        if self._draw() >= self._share:
            return None
        if headers and any(str(name).lower() == HEADER for name in headers):
            return None
        # All zeros means no trace.
        return f"{random.getrandbits(128) or 1:032x}"


def traceparent(trace_id: str) -> str:
    """Return the header's value: version 00, the trace id, the id of the request's span, and the flag for a sampled
    trace."""
    return f"00-{trace_id}-{span_id(trace_id)}-01"


def span_id(trace_id: str) -> str:
    """Return the id of the span of a request (16 hexadecimal digits), the first one of its trace: whoever exports the
    span later needs nothing but the trace id."""
    first = trace_id[:16]
    return first if first.strip("0") else trace_id[16:]
