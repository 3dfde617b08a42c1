"""Which requests of a user that signs are signed: those to its own host."""

from collections.abc import Mapping

from obswarm.api import RequestSigner
from obswarm.http.errors import InvalidRequest
from obswarm.http.head import check_fields
from obswarm.http.urls import parse_url


def signature_for(signer: RequestSigner, base_url: str | None, url: str, run_id: str) -> Mapping[str, str]:
    """The headers for a request that is sent now; none for another host than the user's, whose signature would be for
    those who have no key. Raises InvalidRequest when they cannot be headers."""
    try:
        here, there = parse_url(base_url or ""), parse_url(url)
    except InvalidRequest:
        return {}
    return check_fields(signer.headers(there.path, run_id)) if here.origin == there.origin else {}
