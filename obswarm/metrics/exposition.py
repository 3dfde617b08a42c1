"""/metrics: which of the formats a scraper gets, and that making it never holds the load up."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import gevent
from prometheus_client.exposition import choose_encoder

from obswarm.clock import monotonic, wall
from obswarm.metrics.collector import text_slices
from obswarm.metrics.native import CONTENT_TYPE, protobuf_slices
from obswarm.metrics.scrapers import Scrapers, client_of
from obswarm.metrics.series import SnapshotRegistry

T = TypeVar("T")

_SLICE_S = 0.004
"""How long the exposition may be worked on before users get a turn."""

_PAUSE_S = 0.001
"""A pause of nothing would not do: gevent runs what is ready again and again before it looks at sockets."""

ARRIVED_S = "obswarm.arrived_s"
"""In a request's environment, the wall time at which it came: before this process was there to read it, maybe."""


def wants_protobuf(accept: str) -> bool:
    """Whether the scraper prefers the delimited protobuf format to the text formats, as a Prometheus with native
    histograms does."""
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
    latest: SnapshotRegistry, static: Mapping[str, str], accept: str, asked_s: float | None = None
) -> tuple[str, Iterator[bytes]]:
    """(content type, pieces) for what a scraper accepts: protobuf, OpenMetrics, or the classic text.

    `asked_s` is the wall time of the request (see Latest.families).
    """
    families = latest.families(asked_s)
    if wants_protobuf(accept):
        return CONTENT_TYPE, protobuf_slices(families, static)
    encode, content_type = choose_encoder(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    return content_type, text_slices(families, static, encode, openmetrics=openmetrics)


def unhurried(pieces: Iterable[T], pause: Callable[[], None] = lambda: gevent.sleep(_PAUSE_S)) -> Iterator[T]:
    """The same pieces, with a turn for everybody else whenever they have been worked on for a while."""
    since = monotonic()
    for piece in pieces:
        if piece:
            yield piece
        if monotonic() - since > _SLICE_S:
            pause()
            since = monotonic()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """gzip, fast rather than small."""
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
    """The WSGI application of /metrics, which knows by whom it is asked."""

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
        pieces = unhurried(pieces)
        if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
            pieces = unhurried(compressed(pieces))
        # Made before it is sent: a slow scraper must not see half of one snapshot and half of the next.
        body = b"".join(pieces)
        headers.append(("Content-Length", str(len(body))))
        start_response("200 OK", headers)
        if environ.get("REQUEST_METHOD") != "HEAD":
            self.scrapers.note(*client_of(environ), began_s)
        return [body]
