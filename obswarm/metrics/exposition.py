"""The /metrics endpoint: content negotiation, compression, and yielding to the load while a response is generated."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import gevent

from obswarm.clock import monotonic, wall
from obswarm.metrics.scrapers import Scrapers, client_of
from obswarm.metrics.series import SnapshotRegistry

T = TypeVar("T")

_SLICE_S = 0.004
"""Time slice of the exposition, in seconds, after which it yields to the users."""

_PAUSE_S = 0.001
"""Longer than zero: after sleep(0) gevent runs the ready greenlets again before it polls sockets."""

ARRIVED_S = "obswarm.arrived_s"
"""WSGI environ key: wall time at which the request arrived, which may be before this process could read it."""


def import_formats() -> None:
    """Import what the formats need, tens of milliseconds of work: before the load, where users are in this process."""
    from obswarm.metrics import collector, native  # noqa: F401


def wants_protobuf(accept: str) -> bool:
    """Return whether an Accept header prefers delimited protobuf to the text formats, as the one of a Prometheus with
    native histograms does."""
    best, wanted = 0.0, False
    for part in accept.split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        try:
            quality = float(given.get("q", "1"))
        except ValueError:
            continue
        ours = media == "application/vnd.google.protobuf"
        if ours and (
            given.get("proto", "io.prometheus.client.MetricFamily") != "io.prometheus.client.MetricFamily"
            or given.get("encoding", "delimited") != "delimited"
        ):
            continue
        if quality > best:
            best, wanted = quality, ours
    return wanted


def slices(
    latest: SnapshotRegistry, static: Mapping[str, str], accept: str, request_time_s: float | None = None
) -> tuple[str, Iterator[bytes]]:
    """Return (content type, pieces of the body) in the format that an Accept header asks for: protobuf, OpenMetrics, or
    the classic text format.

    `request_time_s` is the wall time of the request (see SnapshotRegistry.families).
    """
    families = latest.families(request_time_s)
    # Many runs are never scraped, and this imports protobuf and prometheus-client.
    if wants_protobuf(accept):
        from obswarm.metrics.native import CONTENT_TYPE, protobuf_slices

        return CONTENT_TYPE, protobuf_slices(families, static)
    from prometheus_client.exposition import choose_encoder

    from obswarm.metrics.collector import text_slices

    encode, content_type = choose_encoder(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    return content_type, text_slices(families, static, encode, openmetrics=openmetrics)


def cooperative(pieces: Iterable[T], pause: Callable[[], None] = lambda: gevent.sleep(_PAUSE_S)) -> Iterator[T]:
    """Iterate over `pieces`, and yield to other greenlets after each time slice of work."""
    since = monotonic()
    for piece in pieces:
        if piece:
            yield piece
        if monotonic() - since > _SLICE_S:
            pause()
            since = monotonic()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress with gzip at its fastest level."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for piece in pieces:
        for start in range(0, len(piece), 65536):
            yield compressor.compress(piece[start : start + 65536])
    yield compressor.flush()


def accepts_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class MetricsApp:
    """WSGI application of /metrics; notes each scrape in `scrapers`."""

    def __init__(self, latest: SnapshotRegistry, static_labels: Mapping[str, str] | None = None) -> None:
        self.latest = latest
        self._static = dict(static_labels or {})
        self.scrapers = Scrapers()

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        began_s = monotonic()
        content_type, pieces = slices(
            self.latest, self._static, environ.get("HTTP_ACCEPT", ""), environ.get(ARRIVED_S, wall())
        )
        headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
        pieces = cooperative(pieces)
        if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
            pieces = cooperative(compressed(pieces))
        # Complete before the first byte is sent: a slow scraper must not get parts of two snapshots.
        body = b"".join(pieces)
        headers.append(("Content-Length", str(len(body))))
        start_response("200 OK", headers)
        if environ.get("REQUEST_METHOD") != "HEAD":
            self.scrapers.note(*client_of(environ), began_s)
        return [body]
