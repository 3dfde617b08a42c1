"""Redact secrets in everything that is stored or shown: by the names of values, in URLs, and in texts with either.

docs/secrets.md describes the rules: which names denote secrets (`is_secret_name`), in which forms a value follows its
name, and which registered values are redacted everywhere (`register_setting`). User information of URLs (RFC 3986,
3.2.1) is removed. Code that uses a secret has the value itself, and needs nothing of this module.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
"""Replacement for a secret."""


def _table(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SECRET_WORDS = _table(
    "password passwords passwd passphrase passphrases passcode pwd secret secrets token credential credentials creds"
    " authorization signature sig jwt otp hmac apikey apikeys accesskey secretkey privatekey accesstoken authtoken"
    " refreshtoken idtoken clientsecret sessionid jsessionid phpsessid"
)
"""Last words of names of secrets in any text, including names of endpoints."""
_SECRET_WORDS_OF_SETTINGS = _table("auth bearer cookie cookies pass pw tokens")
"""Last words of names of secrets only for options, settings, headers and beside quoted texts: `tokens=5` and `pass=1`
of a query are not secrets."""
_SECRET_KEYS = _table("api access secret private signing encryption auth account subscription license")
"""Words before `key` or `keys` in names of secret keys; other keys are ids (`product_key`)."""
_BEHIND = _table("value header string text confirm confirmation again prod production staging dev v")
"""Words that may follow the name of a secret: `password_confirm`, `API_TOKEN_PROD`."""
_NOT_BEFORE = _table("max min num number total prompt completion invalid bad expired missing wrong no")
"""First words of names that are not secrets: numbers of tokens, and errors."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NO_SECRETS = re.compile(r"(?:\{\w*\}|\[\w*\]|\*+|%s|[Nn]one|null|[Tt]rue|[Ff]alse|)")
"""Placeholders in endpoint names, like `/login?token={token}`."""

_QUERY_OF_A_URL = re.compile(r"([?&#;])([\w.\[\]%~-]{1,100})=([^&#]*)")
_ENCODED_QUERY = re.compile(
    r"""(%3F|%26|%23|%3B|%7B|%2C)([\w.-]{1,100})(=|%3D)((?:(?!%26|%23|%3B)[^\s&#"'<>;])*)""", re.IGNORECASE
)
_USERINFO = re.compile(r"""(:(?:\\?/){2})(?:[^\s/?#"<>@]*@)+|(//)[^\s/?#"<>@:]*:[^\s/?#"<>@]*@""")
_USERINFO_WITH_SLASHES = re.compile(
    # Not a port after the colon, so it is a password with an unencoded slash or the like.
    r"""(://)[^\s/?#"<>@:\[\]]*:(?!\d*(?:[/?#\s'"]|$))[^\s"<>@]{0,1000}@(?:[^\s/?#"<>@]*@)*"""
)
_ENCODED_USERINFO = re.compile(r"""(%3A%2F%2F)(?:(?!%2F|%3F|%23)[^\s&"<>])*%40""", re.IGNORECASE)
_PASSWORD_OF_A_URL = re.compile(r"[^\s:/@]*:(?!//)([^\s@]+)@")

_NAME = r"(?<![\w.%-])(?P<name>-{0,2}[A-Za-z_][\w.\[\]%-]{0,99})"
_CLOSED = r"\\{0,6}[\"']?\]?[ \t]*"
# Only the name is consumed: text after a name that is not secret may contain one that is.
_NAMED = re.compile(rf"{_NAME}(?=(?P<between>{_CLOSED}(?P<separator>=>|[:=])[ \t]*))")
_NAMED_IN_CODE = re.compile(
    rf"{_NAME}(?=(?P<between>{_CLOSED}(?P<separator>:[ \t]*[\w.|\[\], ]{{1,60}}=|=>|[:=])[ \t]*))"
)
_OPENING = re.compile(r"[bBfFrRuU]{0,2}(?P<quote>(?P<backslashes>\\{0,6})(?:\"\"\"|'''|[\"']))")
_UNQUOTED = re.compile(r"""(?:[^\s&#"'<>;\\]|\\(?!["']))*""")
_PLAIN_WORD = re.compile(r"[A-Za-z]?[a-z]*(?:[-_][a-z]+)*[.!:]?|[A-Z]+[.!:]?")
"""Words after a name and a colon in a message that are not secrets: `token: expired`."""

_BRACKET = re.compile(r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]*)[\"']?\]?\s*(?:[:=]\s*[(\[{]|[(\[])")
_IN_BRACKETS = re.compile(r"[^()\[\]{}]{0,2000}")
_LITERAL = re.compile(r"([\"'])(?:\\.|(?!\1)[^\\\n]){0,1000}\1")
_DEFAULT = re.compile(
    r"(?<=\w)\((?P<names>\s*[\"'][\w.-]+[\"']\s*,(?:\s*[\"']-[\w-]*[\"']\s*,)*)(?P<rest>[^()\[\]{}]{0,2000})"
)
"""`getenv("API_TOKEN", "…")`, `add_argument("-p", "--password", default="…")`."""
_OPTION = re.compile(r"([\"'])--?[\w-]+\1")
_HEADER = re.compile(
    r"(?im)(?<![\w-])(?P<before>(?:proxy-authorization|authorization|cookie|set-cookie):\s*)[^\r\n\"']+"
    # Messages of http.client and requests on invalid header values.
    r"|(?P<before_value>header value:? b?['\"])(?:\\.|[^'\"\\])*"
)
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+(?=\S*[0-9=])[A-Za-z0-9._~+/-]{6,}=*")
_WORTH_A_LOOK = re.compile(
    r"//|:\\/|%3A%2F%2F|pass|pwd|pw\b|secret|token|cred|auth|bearer|basic|jwt|cookie|sig|otp|hmac|key|sessi"
    r"|header value",
    re.IGNORECASE,
)
_CODE_LINE = re.compile(r"(?: *\| )*  (?:  |File \")")

_LONGEST_CACHED = 2_000


class _KnownValues:
    """Secrets given to this process, in the encodings in which texts may contain them."""

    most = 200

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        forms = (secret, *secret.split(), unquote(secret), quote(secret, safe=""), quote_plus(secret))
        new = {form for form in forms if _is_telling(form)} - self._values
        if not new or len(self._values) >= self.most:
            return
        self._values |= new
        values = "|".join(re.escape(each) for each in sorted(self._values, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{values})(?![A-Za-z0-9])")
        _redacted.cache_clear()
        _redacted_traceback.cache_clear()

    def clear(self) -> None:
        self._values, self._pattern = set(), None
        _redacted.cache_clear()
        _redacted_traceback.cache_clear()

    def are_in(self, text: str) -> bool:
        return self._pattern is not None and self._pattern.search(text) is not None

    def hide(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


_known = _KnownValues()


@lru_cache(maxsize=4096)
def is_secret_name(name: str, in_text: bool = False) -> bool:
    """Return whether a name of an option, setting or header denotes a secret. With `in_text`, for names in URLs and
    messages, which may be of anything."""
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _BEHIND:
        words.pop()
    if not words or words[0] in _NOT_BEFORE:
        return False
    if words[-1] in ("key", "keys"):
        return not _SECRET_KEYS.isdisjoint(words) or (words == ["key"] and not in_text)
    if words[-1] in _SECRET_WORDS or "".join(words[-2:]) in _SECRET_WORDS:
        return True
    return words[-1] in _SECRET_WORDS_OF_SETTINGS and not in_text


def is_header_name(name: str) -> bool:
    """Return whether the option takes a header, written as `NAME: VALUE`."""
    return _WORD.findall(name)[-1:] in (["header"], ["headers"])


def redact_header(text: str) -> str:
    """Return `NAME: ***` for a header whose name denotes a secret, else the header with its text redacted."""
    name, _, value = text.partition(":")
    return f"{name}: {HIDDEN}" if value.strip() and is_secret_name(name.strip()) else redact_text(text)


def register_setting(name: str, value: object) -> None:
    """Register the secrets in the value of an option, to be redacted in all texts: the whole value if the option's name
    denotes a secret, else values of secret headers, passwords and secret query parameters of URLs."""
    for text in _texts(value):
        if is_header_name(name):
            header, _, rest = text.partition(":")
            if is_secret_name(header.strip()):
                _known.add(rest.strip())
        if is_secret_name(name):
            # As in USER:PASSWORD.
            _known.add(text)
            _known.add(text.partition(":")[2])
            continue
        for password in _PASSWORD_OF_A_URL.findall(text):
            # As the one slash of http:/user:password@host makes it look.
            _known.add(password)
            _known.add(password.rpartition(":")[2])
        for _, parameter, secret in _QUERY_OF_A_URL.findall(text):
            if is_secret_name(unquote(parameter)):
                _known.add(secret)


def register_secret(value: object) -> None:
    """Register a secret value, to be redacted in all texts."""
    for text in _texts(value):
        _known.add(text)


def clear_secrets() -> None:
    """Remove all registered secrets."""
    _known.clear()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _is_telling(value: str) -> bool:
    """Return whether a value is distinctive: plain words and small numbers occur in unrelated texts."""
    return len(value) >= 6 and re.fullmatch(r"[A-Za-z]{1,11}|\d{1,7}|[\W_]*", value) is None


def redact_url(url: str, in_place: str = "") -> str:
    """Remove user information from a URL, and replace secret values in its query by `***`; `in_place` stands where user
    information was. Also accepts invalid URLs."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    end = next((place for place, character in enumerate(rest) if character in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in authority:
        authority = in_place + authority.rpartition("@")[2]
    if "@" in tail and re.match(r"[^:\[\]]*:(?!\d*$)", authority):
        # A password with an unencoded slash.
        authority, tail = in_place, rest.rpartition("@")[2]
    tail = _QUERY_OF_A_URL.sub(_without_value, _without_encoded_values(tail))
    return _known.hide(f"{scheme}{separator}{authority}{tail}")


def redact_text(text: str) -> str:
    """Redact the recognisable secrets in a text (name, message, log line): user information and secret query values of
    URLs, values next to names of secrets, credentials of HTTP headers, known values."""
    if not _is_worth_a_look(text):
        return text
    return _redacted(text) if len(text) < _LONGEST_CACHED else _redact(text)


def redact_code(code: str) -> str:
    """As `redact_text`, for source code: literals next to names of secrets are redacted, expressions are kept."""
    return _redact(code, is_code=True) if _is_worth_a_look(code) else code


def redact_traceback(text: str) -> str:
    """Redact a text that may contain tracebacks: code lines as code, other lines as text."""
    return _redacted_traceback(text) if _is_worth_a_look(text) else text


def redact_value(name: str, value: Any, in_place: str = "") -> Any:
    """Redact the value of an option or setting: `***` if the name denotes a secret, else the value with secrets in its
    texts redacted; `in_place` stands where user information of URLs was, nothing by default."""
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return HIDDEN
    if is_header_name(name) and isinstance(value, str | list | tuple):
        return (
            redact_header(value) if isinstance(value, str) else [redact_value(name, each, in_place) for each in value]
        )
    if isinstance(value, dict):
        return {key: redact_value(str(key), each, in_place) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value("", each, in_place) for each in value]
    if isinstance(value, str):
        is_url = re.match(r"[\w+.-]+://\S*$", value) is not None
        text = redact_url(value, in_place) if is_url else value
        return _redact(text, in_place=in_place) if in_place and _is_worth_a_look(text) else redact_text(text)
    return value


def _is_worth_a_look(text: str) -> bool:
    return _WORTH_A_LOOK.search(text) is not None or _known.are_in(text)


def _redact(text: str, is_code: bool = False, in_place: str = "") -> str:
    text = _known.hide(text)
    if "@" in text:
        text = _USERINFO_WITH_SLASHES.sub(rf"\1{in_place}", _USERINFO.sub(rf"\1\2{in_place}", text))
    if "%40" in text:
        text = _ENCODED_USERINFO.sub(rf"\1{in_place}", text)
    text = _without_encoded_values(text)
    text = _HEADER.sub(rf"\g<before>\g<before_value>{HIDDEN}", text)
    if "=" in text or ":" in text:
        text = _without_named_values(text, is_code)
    if "'" in text or '"' in text:
        text = _without_values_in_brackets(text)
        if is_code:
            text = _DEFAULT.sub(_without_default, text)
            # A query or a form within a literal.
            text = _LITERAL.sub(_without_values_in_literal, text)
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)


_redacted = lru_cache(maxsize=4096)(_redact)


@lru_cache(maxsize=64)
def _redacted_traceback(text: str) -> str:
    # Cached, since users raise the same exception repeatedly.
    groups = groupby(text.splitlines(keepends=True), lambda line: _CODE_LINE.match(line) is not None)
    return "".join((redact_code if is_code else redact_text)("".join(lines)) for is_code, lines in groups)


def _without_encoded_values(text: str) -> str:
    """Redact a URL that is a percent-encoded value in another URL's query."""
    return _ENCODED_QUERY.sub(_without_encoded_value, text) if "%" in text else text


def _without_encoded_value(found: re.Match[str]) -> str:
    before, name, equals, value = found.groups()
    if _NO_SECRETS.fullmatch(value) or not is_secret_name(name, in_text=True):
        return found[0]
    return f"{before}{name}{equals}{HIDDEN}"


def _without_value(found: re.Match[str]) -> str:
    before, name, value = found.groups()
    if _NO_SECRETS.fullmatch(value) or not is_secret_name(unquote(name)):
        return found[0]
    return f"{before}{name}={HIDDEN}"


def _without_named_values(text: str, is_code: bool) -> str:
    """Redact `password=…`, `"token": "…"`, `X-Api-Key: …`, `\\"secret\\": \\"…\\"`. In code only string literals:
    anything else is an expression."""
    pieces, end = [], 0
    for found in (_NAMED_IN_CODE if is_code else _NAMED).finditer(text):
        name = unquote(found["name"])
        if found.start() < end or not is_secret_name(name) or name == "key":
            continue
        span = _value_behind(text, found.end("between"), name, found["separator"], is_code)
        if span is None or _NO_SECRETS.fullmatch(text, *span):
            continue
        pieces += [text[end : span[0]], HIDDEN]
        end = span[1]
    return "".join((*pieces, text[end:])) if pieces else text


def _value_behind(text: str, start: int, name: str, separator: str, is_code: bool) -> tuple[int, int] | None:
    opening = _OPENING.match(text, start)
    if opening is not None:
        return opening.end(), _end_of_quoted(text, opening)
    if is_code or not is_secret_name(name, in_text=True) or text.startswith(("(", "[", "{", "//"), start):
        return None
    value = _UNQUOTED.match(text, start)
    assert value is not None
    end = start + len(value[0].rstrip(")]},"))
    if separator == ":" and _PLAIN_WORD.fullmatch(text, start, end):
        return None
    return start, end


def _end_of_quoted(text: str, opening: re.Match[str]) -> int:
    """Return the position of the closing quote, which has the same number of backslashes before it; in a truncated
    text, the end of the line."""
    quote_mark, expected = opening["quote"], len(opening["backslashes"])
    mark = quote_mark[expected:]
    line_end = text.find("\n", opening.end()) if len(mark) == 1 else -1
    limit = len(text) if line_end < 0 else line_end
    place = text.find(mark, opening.end(), limit)
    while place >= 0:
        backslashes = place - len(text[opening.end() : place].rstrip("\\")) - opening.end()
        if backslashes == expected or (expected == 0 and backslashes % 2 == 0):
            return place - expected
        place = text.find(mark, place + 1, limit)
    return limit


def _without_values_in_brackets(text: str) -> str:
    """Redact `auth=("user", "password")`, `cookies={"session": "a"}` and `BasicAuth("user", "password")`."""
    pieces, end = [], 0
    for found in _BRACKET.finditer(text):
        if found.start() < end or not is_secret_name(found["name"]) or found["name"] == "key":
            continue
        values = _IN_BRACKETS.match(text, found.end())
        assert values is not None
        pieces += [text[end : found.end()], _LITERAL.sub(_without_literal, values[0])]
        end = values.end()
    return "".join((*pieces, text[end:])) if pieces else text


def _without_values_in_literal(literal: re.Match[str]) -> str:
    return _without_named_values(literal[0], False) if _WORTH_A_LOOK.search(literal[0]) else literal[0]


def _without_literal(literal: re.Match[str]) -> str:
    # An empty literal is not a secret, usually an option's default.
    return f"{literal[1]}{HIDDEN}{literal[1]}" if len(literal[0]) > 2 else literal[0]


def _without_default(found: re.Match[str]) -> str:
    if not any(is_secret_name(each[0]) for each in _LITERAL.finditer(found["names"])):
        return found[0]
    rest = _LITERAL.sub(lambda each: each[0] if _OPTION.fullmatch(each[0]) else _without_literal(each), found["rest"])
    return found[0][: found.start("rest") - found.start()] + rest
