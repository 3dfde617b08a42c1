"""Failures of requests to the APIs of other programs, as predicates for messages: `does not answer: …`. The caller adds
the subject, i.e. the API."""

import re
from typing import NamedTuple

import requests
from requests import exceptions

from obswarm.http.api_client.access import ApiAccess, Naming, named
from obswarm.http.api_client.session import AnswerTooLarge
from obswarm.http.errors import innermost, plain_reason
from obswarm.redact import redact_url
from obswarm.sanitize import escape_controls
from obswarm.units import format_duration, format_limit

_LONGEST_QUOTE = 160
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_WRONG_CERTIFICATE = re.compile(r"certificate verify failed: (.+)$")
_SSL_PLACES = re.compile(r"^\[[A-Z0-9_: ]+\] | ?\(_ssl\.c:\d+\)")
_WANTS_CERTIFICATE = re.compile(r"certificate[ _]required|handshake[ _]failure|bad[ _]certificate", re.IGNORECASE)
_NO_TLS = re.compile(r"wrong[ _]version[ _]number|record[ _]layer[ _]failure|unknown[ _]protocol", re.IGNORECASE)


class Failure(NamedTuple):
    """A failed API request: what happened, and what to do. `lasts`: it needs a change of an address, credentials or
    certificates; otherwise it may be temporary."""

    text: str
    lasts: bool = False

    @property
    def reason(self) -> str:
        """The text for a sentence that already says that there is no response."""
        short = self.text.removeprefix("does not answer: ")
        return f"it {short}" if short == self.text else short


class ApiTarget(NamedTuple):
    """The API of a failed request: the URL that was configured, and its access."""

    url: str
    access: ApiAccess
    naming: Naming

    @property
    def credentials(self) -> str:
        return self.access.credentials(self.url, self.naming)


def failure_of(error: requests.RequestException, target: ApiTarget, timeout_s: float) -> Failure:
    """Return the failure of a request without a complete and usable response; `timeout_s` is the read timeout."""
    reason = plain_reason(error)
    match error:
        case AnswerTooLarge() | exceptions.ContentDecodingError():
            return Failure(f"does not answer as it should: {error}")
        case exceptions.ProxyError():
            return _proxy_failure(reason, target)
        case exceptions.SSLError():
            return _tls_failure(error, target)
        case exceptions.Timeout():
            complete = "no complete answer" in str(error)
            return Failure(
                f"does not answer: {error if complete else f'nothing came within {format_limit(timeout_s)}'}"
            )
        case exceptions.TooManyRedirects():
            return Failure("redirects again and again: see whether the URL is right", lasts=True)
        case exceptions.ChunkedEncodingError():
            return Failure(f"broke its answer off: {reason}")
        case exceptions.InvalidSchema() if "SOCKS" in str(error):
            own = named(target.naming, "proxy")
            whose = f"{own}, HTTP_PROXY or HTTPS_PROXY" if own else "HTTP_PROXY or HTTPS_PROXY"
            return Failure(f"gets no request: a SOCKS proxy ({whose}) needs PySocks: pip install pysocks", lasts=True)
        case exceptions.InvalidHeader():
            # Its text may have the value.
            return Failure("gets no request: a token or header has a character that cannot be sent", lasts=True)
        case exceptions.InvalidSchema() | exceptions.InvalidURL() | exceptions.MissingSchema():
            return Failure(f"leads to what is no URL of HTTP: {reason}", lasts=True)
    if _WANTS_CERTIFICATE.search(str(innermost(error))):
        # In TLS 1.3 it says so after the handshake, which urllib3 takes for a connection that broke.
        return _tls_failure(error, target)
    return Failure(f"does not answer: {reason}")


def _proxy_failure(reason: str, target: ApiTarget) -> Failure:
    proxy = target.access.proxy
    which = f"the proxy {redact_url(proxy)}" if proxy is not None else "the proxy of the environment (HTTP_PROXY …)"
    if "407" in reason:
        return Failure(f"is not reached: {which} wants a user and a password; {_PROXY_USER}", lasts=True)
    return Failure(f"is not reached through {which}: {reason}")


_PROXY_USER = "write them into its URL, http://USER:PASSWORD@…"


def _tls_failure(error: requests.RequestException, target: ApiTarget) -> Failure:
    naming = target.naming
    reason = _SSL_PLACES.sub("", str(innermost(error)))
    verifying = _WRONG_CERTIFICATE.search(reason)
    if verifying is not None:
        why = verifying[1]
        if "self-signed" in why or "issuer certificate" in why or "unable to verify" in why:
            own = named(naming, "ca_file")
            hint = f": name its authority's by {f'{own} or ' if own else ''}REQUESTS_CA_BUNDLE"
        else:
            hint = ""
        return Failure(f"has a certificate that is not trusted ({why}){hint}", lasts=True)
    if "invalid path" in reason:
        return Failure(f"gets no request: {reason} (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE)", lasts=True)
    if _WANTS_CERTIFICATE.search(reason):
        shown = target.access.cert_file
        if shown is not None:
            return Failure(f"does not accept the client certificate in {shown}: {reason}", lasts=True)
        hint = named(naming, "cert_file", "key_file").replace(" or ", " and ")
        wants = f"wants a client certificate: name it by {hint}" if hint else "wants a client certificate"
        return Failure(f"{wants} ({reason})", lasts=True)
    if _NO_TLS.search(reason):
        return Failure("does not speak TLS at that port: write http:// instead of https://", lasts=True)
    return Failure(f"does not answer: TLS failed: {reason}")


def refusal_of(answer: requests.Response, target: ApiTarget, missing: str, quotes: bool = True) -> Failure | None:
    """Return the failure of a response whose status is one; None for other statuses. `missing` is the text for HTTP
    404; with `quotes`, the response's own message is quoted."""
    code = answer.status_code
    if code < 300:
        return None
    said = quoted(answer) if quotes else ""
    credentials = target.credentials
    naming = target.naming
    setting = named(naming, "auth", "token", "token_file")
    give = f"; give {setting}" if setting else ""
    if code == 401:
        if "org id" in said.lower():
            text = f"wants to know the tenant; give {naming('header')} 'X-Scope-OrgID: TENANT'"
        elif credentials:
            text = f"does not accept {credentials}"
        else:
            text = f"wants a user or a token{give}"
        return Failure(_with_status(text, answer, said), lasts=True)
    if code == 403:
        how = f"with {credentials}" if credentials else f"without credentials{give}"
        text = f"does not allow this {how}"
        return Failure(_with_status(text, answer, said), lasts=True)
    if code == 404:
        return Failure(_with_status(missing, answer, said), lasts=True)
    if code == 407:
        return Failure(f"is not reached: the proxy wants a user and a password (HTTP 407); {_PROXY_USER}", lasts=True)
    if code == 429:
        again = answer.headers.get("Retry-After", "")
        hint = f", for {format_duration(int(again))}" if again.isdecimal() else ""
        return Failure(_with_status(f"takes no more requests now{hint}: its limit is reached", answer, said))
    if code < 400:
        return Failure(_with_status("redirects to nowhere", answer, said), lasts=True)
    if code in (502, 504):
        return Failure(_with_status("is not reached by the proxy or load balancer in front of it", answer, said))
    if code == 503:
        return Failure(_with_status("is not ready, or has too much to do", answer, said))
    if code >= 500:
        return Failure(_with_status("failed", answer, said))
    if code == 400 and "HTTP request to an HTTPS server" in said:
        return Failure(_with_status("speaks TLS at that port: write https:// instead of http://", answer, ""), True)
    return Failure(_with_status("refuses the request", answer, said))


def page_of(answer: requests.Response) -> Failure | None:
    """Return the failure of a successful response that is empty or an HTML page, usually a login page."""
    if not answer.content.strip():
        text = f"answers with nothing (HTTP {answer.status_code}, an empty body)"
    elif is_html(answer):
        text = f"answers with a page of HTML{_titled(answer)}"
        if answer.history:
            text += f", to which it redirects ({redact_url(_without_query(answer.url))}),"
        text += " where something else was asked for: a login page, or another program"
    else:
        return None
    return Failure(f"{text}; see whether the URL and the credentials are right", lasts=True)


def trouble_of(
    answer: requests.Response, target: ApiTarget, missing: str, may_be_empty: bool = False
) -> Failure | None:
    """Return the failure of a response that is not a success of the requested API: a refusal, a page, an empty body, or
    the response to a GET into which redirects have turned a POST. See `refusal_of`. None for a success."""
    failure = refusal_of(answer, target, missing)
    if failure is None and (answer.content.strip() or not may_be_empty):
        failure = page_of(answer)
    if failure is None and answer.history and answer.history[0].request.method != answer.request.method:
        there = redact_url(_without_query(answer.url))
        failure = Failure(f"redirects to {there}, by which what was sent is lost: give that URL", lasts=True)
    return failure


def is_html(answer: requests.Response) -> bool:
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    begin = answer.content[:200].lstrip().lower()
    return media_type in ("text/html", "application/xhtml+xml") or begin.startswith((b"<!doctype html", b"<html"))


def quoted(answer: requests.Response) -> str:
    """Return the beginning of the body on one line; of an HTML page its title."""
    if is_html(answer):
        found = _TITLE.search(answer.content[:10_000])
        text = found[1].decode(errors="replace") if found else ""
    else:
        text = answer.content[: 4 * _LONGEST_QUOTE].decode(errors="replace")
    text = escape_controls(" ".join(text.split()))
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _titled(answer: requests.Response) -> str:
    title = quoted(answer)
    return f" ({title})" if title else ""


def _with_status(text: str, answer: requests.Response, said: str) -> str:
    where = f", after a redirect to {redact_url(_without_query(answer.url))}" if answer.history else ""
    return f"{text} (HTTP {answer.status_code}{where}{f': {said}' if said else ''})"


def _without_query(url: str | None) -> str:
    return (url or "").partition("?")[0]
