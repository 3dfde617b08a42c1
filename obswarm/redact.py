"""Secrets taken out of what is kept or shown: by the name of a value, in URLs, and in texts that have either in them.

Names are matched by their words: `api_token`, `X-Api-Key`, `accessToken` are names of secrets, `monkey`, `keyword` and
`token_count` are not. Of URLs the user information (RFC 3986, 3.2.1) goes, and the values of query parameters with such
names. Nothing here is needed to use a secret: whoever sends one has the value itself.
"""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
"""What stands in place of a secret."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    "passwords?|passwd|passphrase|passcode|pwd|pw|secrets?|tokens?|credentials?|creds|auth|authorization|bearer|jwt"
    "|cookies?|signature|sig|otp|hmac|apikeys?|(?:access|secret|private|auth|signing)key|(?:access|auth|refresh|id)token"
    "|clientsecret|j?sessionid|phpsessid"
)
_NO_VALUE = re.compile(
    "files?|paths?|folder|directory|dir|ur[il]|endpoint|host|name|type|kind|count|length|size|limit|rate|timeout|ttl"
    "|expiry|expires|age|lifetime|interval|error|exception|warning|failure|status|methods?|scheme|mode|enabled|required"
    "|policy|algorithm|version|prefix|field"
)
"""The last word of names of something else than the secret itself: `secret_file`, `token_type`."""
_QUANTITY = re.compile("max|min|num|number|total|prompt|completion|per")
"""The first word of names of a number of tokens."""
_OTHER_KEY = re.compile("sort|primary|foreign|cache|partition|group|public|routing|row|map|dict|redis|object")
"""What stands before `key` in names of keys that open nothing."""
_KEYS_TO_SOMETHING = ("api", "access", "private", "secret", "signing")

_UNQUOTED = r"""[^\s&#"'<>;]*"""
_QUERY = re.compile(rf"([?&#;])([\w.\[\]%~-]{{1,100}})=({_UNQUOTED})")
_QUERY_OF_A_URL = re.compile(r"([?&#;])([\w.\[\]%~-]{1,100})=([^&#]*)")
_USERINFO = re.compile(r"""(://)(?:[^\s/?#"<>@]*@)+""")
_USERINFO_WITH_SLASHES = re.compile(
    # What follows the colon is no port, so that it is a password in which a slash or the like was not encoded.
    r"""(://)[^\s/?#"<>@:\[\]]*:(?!\d*(?:[/?#\s'"]|$))[^\s"<>@]{0,1000}@(?:[^\s/?#"<>@]*@)*"""
)
_ENCODED_USERINFO = re.compile(r"""(%3A%2F%2F)(?:(?!%2F|%3F|%23)[^\s&"<>])*%40""", re.IGNORECASE)
_NAMED = r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]*)[\"']?\]?"
_QUOTED_VALUE = re.compile(
    rf"(?P<before>{_NAMED}\s*(?::\s*(?P<kind>[\w.|\[\], ]{{1,60}})=|=>|[:=])\s*[bBfFrRuU]{{0,2}}(?P<quote>[\"']))"
    r"(?P<value>(?:\\.|(?!(?P=quote))[^\\\n]){0,4000})(?P=quote)"
)
_BRACKET = re.compile(rf"{_NAMED}\s*(?:[:=]\s*[(\[{{]|[(\[])")
_IN_BRACKETS = re.compile(r"[^()\[\]{}\n]*")
_LITERAL = re.compile(r"([\"'])(?:\\.|(?!\1)[^\\\n]){0,1000}\1")
_ASSIGNED = re.compile(rf"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]*)=(?P<value>(?![(\[{{]){_UNQUOTED})")
_HEADER = re.compile(
    r"(?im)(?<![\w-])(?P<before>(?:proxy-authorization|authorization|cookie|set-cookie):\s*)[^\r\n\"']+"
)
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+(?=\S*[0-9=])[A-Za-z0-9._~+/-]{6,}=*")
_NO_SECRETS = re.compile(r"(?:\{\w*\}|\[\w*\]|\*+|%s|None|null|[Tt]rue|[Ff]alse|)")
"""Placeholders of names that were chosen, like `/login?token={token}`."""
_WORTH_A_LOOK = re.compile(
    r"://|%3A%2F%2F|pass|pwd|pw\b|secret|token|cred|auth|bearer|basic|jwt|cookie|sig|otp|hmac|key|sessi", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str, bare_key: bool = True) -> bool:
    """Whether a value of that name is a secret: an option, a setting, a header, a query parameter. `bare_key` says
    whether `key` alone is such a name."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or _NO_VALUE.fullmatch(words[-1]):
        return False
    if words[-1] == "tokens" and _QUANTITY.fullmatch(words[0]):
        return False
    if words[-1] == "pass" or any(map(_SECRET_WORD.fullmatch, words)):
        return True
    if words[-1] == "key":
        return bare_key if len(words) == 1 else not _OTHER_KEY.fullmatch(words[-2])
    return words[-1] == "keys" and len(words) > 1 and words[-2] in _KEYS_TO_SOMETHING


def redact_url(url: str) -> str:
    """A URL without its user information, and with `***` in place of secret values in its query. Also for what was
    meant to be one."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    end = next((place for place, character in enumerate(rest) if character in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    if "@" in tail and re.match(r"[^:\[\]]*:(?!\d*$)", authority):
        # A password with a slash in it, which should have been encoded.
        authority, tail = "", rest.rpartition("@")[2]
    return f"{scheme}{separator}{authority}{_QUERY_OF_A_URL.sub(_without_value_of_any_key, tail)}"


def redact_text(text: str) -> str:
    """A text (a name, a message, a line of a log) without the secrets that can be told from it: user information and
    secret query values of URLs, values beside names of secrets, credentials of HTTP headers."""
    if not _WORTH_A_LOOK.search(text):
        return text
    return _redacted(text) if len(text) < _LONGEST_REMEMBERED else _redact(text)


_LONGEST_REMEMBERED = 2_000


def redact_code(code: str) -> str:
    """As `redact_text`, for source code and tracebacks: literals beside names of secrets go, expressions stay."""
    return _redacted_code(code) if _WORTH_A_LOOK.search(code) else code


def redact_value(name: str, value: Any) -> Any:
    """The value of an option or setting: `***` where the name says that it is a secret; else as it is, but for the
    secrets in its texts."""
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return HIDDEN
    if isinstance(value, dict):
        return {key: redact_value(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value("", each) for each in value]
    if isinstance(value, str):
        is_url = re.match(r"[\w+.-]+://\S*$", value) is not None
        return redact_text(redact_url(value) if is_url else value)
    return value


def _redact(text: str, is_code: bool = False) -> str:
    if "@" in text:
        text = _USERINFO_WITH_SLASHES.sub(r"\1", _USERINFO.sub(r"\1", text))
    if "%40" in text:
        text = _ENCODED_USERINFO.sub(r"\1", text)
    if "=" in text:
        text = _QUERY.sub(_without_value, text)
    text = _HEADER.sub(rf"\g<before>{HIDDEN}", text)
    if "'" in text or '"' in text:
        text = _QUOTED_VALUE.sub(_without_quoted_value, text)
        text = _without_values_in_brackets(text)
    if "=" in text:
        # In code only within literals: outside of them it is an expression.
        text = (
            _LITERAL.sub(lambda literal: _ASSIGNED.sub(_without_assigned_value, literal[0]), text)
            if is_code
            else _ASSIGNED.sub(_without_assigned_value, text)
        )
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)


_redacted = lru_cache(maxsize=4096)(_redact)


@lru_cache(maxsize=64)
def _redacted_code(code: str) -> str:
    # An exception that users raise again and again has the same traceback.
    return _redact(code, is_code=True)


def _without_value(found: re.Match[str], bare_key: bool = False) -> str:
    before, name, value = found.groups()
    if _NO_SECRETS.fullmatch(value) or not is_secret_name(unquote(name), bare_key):
        return found[0]
    return f"{before}{name}={HIDDEN}"


def _without_value_of_any_key(found: re.Match[str]) -> str:
    return _without_value(found, bare_key=True)


def _without_quoted_value(found: re.Match[str]) -> str:
    # `ValueError: token = '…'` looks like an assignment with an annotation.
    names = found["name"], found["kind"] or ""
    if _NO_SECRETS.fullmatch(found["value"]) or not any(is_secret_name(name, bare_key=False) for name in names):
        return found[0]
    return f"{found['before']}{HIDDEN}{found['quote']}"


def _without_values_in_brackets(text: str) -> str:
    """Of `auth=("user", "password")`, `cookies={"session": "a"}` and `BasicAuth("user", "password")`."""
    pieces, end = [], 0
    for found in _BRACKET.finditer(text):
        values = _IN_BRACKETS.match(text, found.end())
        if values is None or found.start() < end or not is_secret_name(found["name"], bare_key=False):
            continue
        without = _LITERAL.sub(lambda literal: f"{literal[1]}{HIDDEN}{literal[1]}", values[0])
        pieces += [text[end : found.end()], without]
        end = values.end()
    return "".join((*pieces, text[end:]))


def _without_assigned_value(found: re.Match[str]) -> str:
    if _NO_SECRETS.fullmatch(found["value"]) or not is_secret_name(found["name"], bare_key=False):
        return found[0]
    return f"{found['name']}={HIDDEN}"
