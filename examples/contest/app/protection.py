"""The contest's protection from bots (a rate limit per address, a question at login), from which signed requests of a
load test are exempt.

A request is exempt if it has the headers `X-Obswarm-Run`, `X-Obswarm-Time` (whole seconds since 1970) and
`X-Obswarm-Signature`: the hexadecimal HMAC-SHA256 of run, time and path, one a line, with a shared key. The path is
that of the request line, without the query. A service has to implement nothing else.
"""

import hashlib
import hmac
import json
import secrets
import time
from urllib.parse import quote

PRIVILEGED_RUN = "obswarm.run_id"
"""Key of the WSGI environment of signed requests: the id of the load test's run."""

_WINDOW_S = 60
_LIMIT = 30
_LIMIT_PERIOD_S = 10
_CAPTCHA_S = 300


def reason_to_refuse(key, environ, now_s, window_s=_WINDOW_S):
    """Return the reason why a signature is invalid; None if it is valid."""
    try:
        sent_s = int(environ.get("HTTP_X_OBSWARM_TIME", ""))
    except ValueError:
        return "X-Obswarm-Time is not a number of seconds"
    if abs(now_s - sent_s) > window_s:
        return f"the signature is {now_s - sent_s:.0f} s old; {window_s} s are allowed, in both directions"
    # Servers that do not pass on the request line pass on the decoded path, as bytes in Latin-1 (PEP 3333).
    path = environ.get("REQUEST_URI", "").partition("?")[0] or quote(
        (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    )
    message = "\n".join((environ.get("HTTP_X_OBSWARM_RUN", ""), str(sent_s), path))
    expected = hmac.new(key, message.encode("latin-1"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), environ["HTTP_X_OBSWARM_SIGNATURE"].lower().encode("latin-1")):
        return "the signature does not fit run, time and path"
    return None


class LoadTestPass:
    """WSGI middleware: marks signed requests, and responds 401 to those whose signature is wrong or too old.

    Without a key, no request is exempt. `refused` is called with the word "signature" for each refusal.
    """

    def __init__(self, application, key, window_s=_WINDOW_S, clock=time.time, refused=lambda protection: None):
        self._application = application
        self._key = key.encode()
        self._window_s = window_s
        self._clock = clock
        self._refused = refused

    def __call__(self, environ, start_response):
        environ.pop(PRIVILEGED_RUN, None)
        if self._key and environ.get("HTTP_X_OBSWARM_SIGNATURE"):
            reason = reason_to_refuse(self._key, environ, self._clock(), self._window_s)
            if reason is not None:
                self._refused("signature")
                return _answer(start_response, "401 Unauthorized", {"error": reason})
            environ[PRIVILEGED_RUN] = environ.get("HTTP_X_OBSWARM_RUN", "")
        return self._application(environ, start_response)


class RateLimit:
    """WSGI middleware: 429 to an address with more requests in a period than allowed; signed requests are not counted.

    `count(key, period_s)` increments and returns the counter of a key, which may be removed after the period.
    """

    def __init__(
        self,
        application,
        count,
        limit=_LIMIT,
        period_s=_LIMIT_PERIOD_S,
        clock=time.time,
        refused=lambda protection: None,
    ):
        self._application = application
        self._count = count
        self._limit = limit
        self._period_s = period_s
        self._clock = clock
        self._refused = refused

    def __call__(self, environ, start_response):
        if PRIVILEGED_RUN not in environ and environ.get("PATH_INFO") != "/health":
            # The load balancer in front sets the header itself, whatever a client sends.
            address = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR", "")
            period = int(self._clock() // self._period_s)
            if self._count(f"{address} {period}", self._period_s) > self._limit:
                self._refused("rate limit")
                text = f"more than {self._limit} requests in {self._period_s} s from {address}"
                return _answer(start_response, "429 Too Many Requests", {"error": text}, str(self._period_s))
        return self._application(environ, start_response)


def _answer(start_response, status, document, retry_after=None):
    body = json.dumps(document).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if retry_after is not None:
        headers.append(("Retry-After", retry_after))
    start_response(status, headers)
    return [body]


class Captcha:
    """A question that a person can answer. The sealed id of the question contains the answer, so that nothing has to be
    stored; a real one would show a picture."""

    def __init__(self, key, clock=time.time):
        self._key = key.encode()
        self._clock = clock

    def ask(self):
        one, other = secrets.randbelow(10), secrets.randbelow(10)
        until_s = int(self._clock()) + _CAPTCHA_S
        nonce = secrets.token_hex(8)
        return {
            "id": f"{until_s}.{nonce}.{self._seal(until_s, nonce, one + other)}",
            "question": f"{one} + {other} = ?",
        }

    def is_right(self, number, answer):
        try:
            until_s, nonce, seal = number.split(".")
            fits = hmac.compare_digest(seal, self._seal(int(until_s), nonce, int(answer)))
        except (ValueError, TypeError, AttributeError):
            return False
        return fits and int(until_s) >= self._clock()

    def _seal(self, until_s, nonce, answer):
        message = f"{until_s}\n{nonce}\n{answer}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
