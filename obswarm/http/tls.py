"""TLS over any stream; one context for all users with the same settings."""

import os
import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import certifi

from obswarm import open_files
from obswarm.api import ObswarmError
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import NoDescriptorLeft, TlsError
from obswarm.http.transport import READ_SIZE, BrokenOff, Stream


class TlsSettings(NamedTuple):
    """`verify` is True, False, or a file or folder of certificates to trust; `cert` is a file with certificate and key,
    or a pair of files. `factory` makes the context in their place."""

    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    factory: Callable[[], ssl.SSLContext] | None = None


@lru_cache(maxsize=64)
def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return a client's context. Raises ObswarmError when a file is missing or is not what it should be;
    NoDescriptorLeft."""
    verify, cert, factory = settings
    if open_files.is_full():
        # OpenSSL passes over files that it cannot open, and such a context would be kept.
        raise NoDescriptorLeft(f"no TLS: {open_files.reason()}")
    if factory is not None:
        return factory()
    trusted = verify if isinstance(verify, str) else _default_trust()
    try:
        if isinstance(trusted, str) and Path(trusted).is_dir():
            context = ssl.create_default_context(capath=trusted)
        else:
            context = ssl.create_default_context(cafile=trusted)
    except (OSError, ssl.SSLError) as error:
        raise ObswarmError(f"The trusted certificates in {trusted!r} cannot be read: {error}.") from None
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Proxies and servers that speak HTTP/2 as well would choose it otherwise.
    context.set_alpn_protocols(["http/1.1"])
    if cert is not None:
        files = (cert, None) if isinstance(cert, str) else cert
        try:
            context.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:
            raise ObswarmError(f"The client certificate {cert!r} cannot be used: {error}.") from None
    return context


def _default_trust() -> str | None:
    """Return the trusted certificates that the environment names, as requests and OpenSSL do; None: the system's store,
    certifi's file where the system has none."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if os.environ.get(variable):
            return os.environ[variable]
    paths = ssl.get_default_verify_paths()
    return None if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())) else certifi.where()


def trusted_certificates() -> str:
    """The file or folder with the certificates that are trusted unless somebody says otherwise: REQUESTS_CA_BUNDLE,
    CURL_CA_BUNDLE, SSL_CERT_FILE, the system's, certifi's."""
    paths = ssl.get_default_verify_paths()
    return _default_trust() or paths.cafile or paths.capath or certifi.where()


_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?([A-Z_]+)")
_WANTS_A_CERTIFICATE = ("certificate required", "handshake failure", "no certificate")


def tls_failure(peer: str, error: ssl.SSLError) -> str:
    """Say what failed in TLS; where the peer has sent an alert, which one (RFC 8446, 6.2)."""
    if isinstance(error, ssl.SSLEOFError):
        return f"TLS with {peer} failed: the peer closed the connection"
    reason = error.reason or error.strerror or str(error)
    alert = _ALERT.fullmatch(reason)
    if alert is None:
        return f"TLS with {peer} failed: {reason}"
    name = alert[1].lower().replace("_", " ")
    hint = "; it may want a client certificate (`cert`)" if name in _WANTS_A_CERTIFICATE else ""
    return f"TLS with {peer} failed: its alert is {name!r} ({reason}){hint}"


class TlsStream:
    """TLS on top of another stream, through memory buffers, so that the one below may be a tunnel or TLS itself."""

    __slots__ = ("_ahead", "_below", "_incoming", "_outgoing", "_tls", "_unread")

    def __init__(
        self, below: Stream, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
    ) -> None:
        self._below = below
        self._ahead = b""
        self._unread = False
        """Whether there may be something to read in what has been received."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        made = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        # What the object wraps: each of its methods does nothing but call it.
        self._tls: Any = made._sslobj  # type: ignore[attr-defined]

    @property
    def due(self) -> float:
        return self._below.due

    @due.setter
    def due(self, due: float) -> None:
        self._below.due = due

    @property
    def unread(self) -> bool:
        return self._unread or self._ahead != b"" or self._below.unread

    def shake_hands(self, peer: str) -> None:
        """Do the TLS handshake. Raises TlsError with the reason; StreamTimeout."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                    self._flush()
                    return
                except ssl.SSLWantReadError:
                    self._flush()
                    self._feed()
        except ssl.SSLCertVerificationError as error:
            self._send_alert()
            raise TlsError(f"the certificate of {peer} was not accepted: {error.verify_message}") from None
        except ssl.SSLError as error:
            self._send_alert()
            raise TlsError(tls_failure(peer, error)) from None
        except OSError as error:
            raise TlsError(f"TLS with {peer} failed: {error.strerror or error}") from None

    def _send_alert(self) -> None:
        try:
            self._flush()
        except OSError:
            pass

    @property
    def session(self) -> ssl.SSLSession | None:
        """The TLS session, with which the next connection to the same peer can resume."""
        session: ssl.SSLSession | None = self._tls.session
        return session

    @property
    def resumed(self) -> bool:
        return bool(self._tls.session_reused)

    @property
    def version(self) -> str | None:
        """The protocol version, TLSv1.2 or TLSv1.3."""
        version: str | None = self._tls.version()
        return version

    def receive(self) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        while True:
            # A read that finds nothing costs an exception, so it comes after what brings something.
            if not self._unread:
                self._feed()
            try:
                return self._read()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    self._flush()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # Many servers close without saying so in TLS; whether the answer was complete is for HTTP to decide.
                return b""

    def _read(self) -> bytes:
        """Return the next of what has been received. Raises ssl.SSLWantReadError when there is nothing."""
        self._unread = False
        piece: bytes = self._tls.read(READ_SIZE)
        # OpenSSL returns one record at a time, and READ_SIZE is larger than any.
        self._unread = self._incoming.pending > 0 or len(piece) == READ_SIZE
        return piece

    def send(self, payload: bytes) -> None:
        try:
            sent = self._tls.write(payload)
        except ssl.SSLWantReadError:
            sent = 0
        if sent < len(payload):
            self._send_rest(memoryview(payload)[sent:])
        self._below.send(self._outgoing.read())

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self._tls.write(rest) :]
            except ssl.SSLWantReadError:
                try:
                    self._flush()
                    self._feed()
                except OSError as error:
                    raise BrokenOff(error.errno, error.strerror) from None

    def has_news(self) -> bool:
        # Session tickets come unasked, so news on the socket need not be news for HTTP. What has come but is not read
        # yet is news without any on the socket.
        if self._ahead:
            return True
        if not self._unread and not self._below.has_news():
            return False
        self.due = NEVER
        try:
            while True:
                if not self._unread:
                    if not self._below.has_news():
                        return False
                    self._feed()
                try:
                    # Kept, since a stream on top of this one may still need it.
                    self._ahead = self._read()
                    return True
                except ssl.SSLWantReadError:
                    continue
        except OSError:
            return True

    def _flush(self) -> None:
        pending = self._outgoing.read()
        if pending:
            self._below.send(pending)

    def _feed(self) -> None:
        piece = self._below.receive()
        self._unread = True
        if piece:
            self._incoming.write(piece)
        else:
            self._incoming.write_eof()

    def close(self) -> None:
        self._below.close()
