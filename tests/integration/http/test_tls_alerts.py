"""What a server says in TLS (an alert, RFC 8446, 6.2) when it refuses a client is what the failed request says."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from gevent.server import StreamServer

from obswarm.http import ConnectError, FastHttpUser, HttpUser

pytestmark = pytest.mark.usefixtures("no_leaked_socket")

CLIENTS = [FastHttpUser, HttpUser]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
HINT = "; it may want a client certificate (`cert`)"
CODES = {
    40: "'handshake failure' (SSLV3_ALERT_HANDSHAKE_FAILURE)" + HINT,
    42: "'bad certificate' (SSLV3_ALERT_BAD_CERTIFICATE)",
    45: "'certificate expired' (SSLV3_ALERT_CERTIFICATE_EXPIRED)",
    48: "'unknown ca' (TLSV1_ALERT_UNKNOWN_CA)",
    49: "'access denied' (TLSV1_ALERT_ACCESS_DENIED)",
    70: "'protocol version' (TLSV1_ALERT_PROTOCOL_VERSION)",
    71: "'insufficient security' (TLSV1_ALERT_INSUFFICIENT_SECURITY)",
    80: "'internal error' (TLSV1_ALERT_INTERNAL_ERROR)",
    112: "'unrecognized name' (TLSV1_UNRECOGNIZED_NAME)",
    116: "'certificate required' (TLSV13_ALERT_CERTIFICATE_REQUIRED)" + HINT,
}


@contextmanager
def serving(handle: Any) -> Iterator[int]:
    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop(timeout=0)


class Authority:
    """An authority, the server's certificate, and clients' certificates that the server does not accept."""

    def __init__(self, folder: Path) -> None:
        own, other = trustme.CA(), trustme.CA()
        self.ca = str(folder / "ca.pem")
        own.cert_pem.write_to_path(self.ca)
        self.server = self._write(folder / "server.pem", own.issue_cert("127.0.0.1"))
        self.good = self._write(folder / "good.pem", own.issue_cert("c@example.com"))
        expired = own.issue_cert("c@example.com", not_after=datetime(2020, 1, 1, tzinfo=UTC))
        self.expired = self._write(folder / "expired.pem", expired)
        self.strange = self._write(folder / "strange.pem", other.issue_cert("c@example.com"))

    @staticmethod
    def _write(path: Path, certificate: trustme.LeafCert) -> str:
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
        return str(path)

    @contextmanager
    def server_that_wants_a_certificate(self, version: ssl.TLSVersion) -> Iterator[int]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(self.server)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = version

        def handle(connection: Any, address: Any) -> None:
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(65536)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:
                pass

        with serving(handle) as port:
            yield port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def asked(kind: type, environment: Any, port: int, authority: Authority, cert: str | None = None) -> Any:
    """The response to a request over TLS."""
    host = f"https://127.0.0.1:{port}"
    attributes: dict[str, Any] = {"verify": authority.ca, "cert": cert} if kind is FastHttpUser else {}
    user = type("Visitor", (kind,), {"host": host, **attributes})(environment)
    if kind is HttpUser:
        user.client.trust_env = False
        user.client.verify, user.client.cert = authority.ca, cert
    try:
        return user.client.get("/asked")
    finally:
        user.client.close()


def assert_failed(response: Any, kind: type, port: int, alert: str, environment: Any) -> None:
    error = response.error
    assert isinstance(error, ConnectError if kind is FastHttpUser else requests.exceptions.SSLError)
    text = f"TLS with 127.0.0.1:{port} failed: its alert is {alert}"
    assert str(error) == text
    table = environment.recorder.take()
    assert [(key.name, key.message) for key in table.errors] == [("/asked", text)]


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("code", CODES)
def test_an_alert_in_the_handshake_is_named(code: int, kind: type, environment: Any, authority: Authority) -> None:
    def refuse(connection: Any, address: Any) -> None:
        connection.recv(65536)
        connection.sendall(bytes((21, 3, 3, 0, 2, 2, code)))
        connection.close()

    with serving(refuse) as port:
        response = asked(kind, environment, port, authority)
    assert_failed(response, kind, port, CODES[code], environment)


REFUSED = {
    ("no", ssl.TLSVersion.TLSv1_2): CODES[40],
    ("no", ssl.TLSVersion.TLSv1_3): CODES[116],
    ("expired", ssl.TLSVersion.TLSv1_2): CODES[45],
    ("expired", ssl.TLSVersion.TLSv1_3): CODES[45],
    ("strange", ssl.TLSVersion.TLSv1_2): CODES[48],
    ("strange", ssl.TLSVersion.TLSv1_3): CODES[48],
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(("cert", "version"), REFUSED)
def test_a_server_that_refuses_a_client_certificate_is_quoted(
    cert: str, version: ssl.TLSVersion, kind: type, environment: Any, authority: Authority
) -> None:
    with authority.server_that_wants_a_certificate(version) as port:
        response = asked(kind, environment, port, authority, getattr(authority, cert, None))
        assert asked(kind, environment, port, authority, authority.good).status_code == 200
    assert_failed(response, kind, port, REFUSED[cert, version], environment)
