"""TLS against nginx, certificates that fail, session resumption, client certificates, proxies."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import trustme

from obswarm.api import ObswarmError
from obswarm.http import HttpSession
from tests.support.nginx import Nginx, free_port
from tests.support.proxy import Proxy
from tests.support.scripted_server import ScriptedServer, answer


@dataclass
class Certificates:
    ca: str
    server: str
    other_name: str
    expired: str
    client: str
    other_ca: str


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority, other = trustme.CA(), trustme.CA()

    def write(name: str, certificate: trustme.LeafCert) -> str:
        path = folder / f"{name}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
        return str(path)

    from datetime import UTC, datetime

    authority.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")
    return Certificates(
        ca=str(folder / "ca.pem"),
        server=write("server", authority.issue_cert("127.0.0.1", "localhost")),
        other_name=write("other_name", authority.issue_cert("elsewhere.test")),
        expired=write("expired", authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))),
        client=write("client", authority.issue_cert("client@example.com")),
        other_ca=str(folder / "other.pem"),
    )


@dataclass
class Ports:
    old: int
    new: int
    other_name: int
    expired: int
    picky: int
    plain: int


@pytest.fixture(scope="module")
def nginx(certificates: Certificates) -> Iterator[Ports]:
    ports = Ports(*(free_port() for _ in range(6)))
    common = 'location / { return 200 "$ssl_protocol $ssl_session_reused $ssl_server_name $ssl_client_s_dn"; }'

    def server(port: int, certificate: str, extra: str = "", protocols: str = "TLSv1.2 TLSv1.3") -> str:
        return (
            f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate};"
            f" ssl_protocols {protocols}; ssl_session_cache shared:s{port}:1m; {extra} {common} }}"
        )

    blocks = [
        server(ports.old, certificates.server, "keepalive_requests 1;", "TLSv1.2"),
        server(ports.new, certificates.server, "keepalive_requests 1;", "TLSv1.3"),
        server(ports.other_name, certificates.other_name),
        server(ports.expired, certificates.expired),
        server(ports.picky, certificates.server, f"ssl_client_certificate {certificates.ca}; ssl_verify_client on;"),
        f"""server {{ listen 127.0.0.1:{ports.plain}; keepalive_requests 3; gzip on; gzip_types *; gzip_min_length 1;
            location /files/ {{ alias {{folder}}/files/; }}
            location / {{ return 200 "$connection $connection_requests"; }} }}""",
    ]
    text = "\n".join(blocks).replace("{folder}", str(Path(certificates.ca).parent))
    files = Path(certificates.ca).parent / "files"
    files.mkdir()
    (files / "large.txt").write_text("0123456789\n" * 50_000)
    with Nginx(text, ports.plain):
        yield ports


@pytest.mark.usefixtures("no_leaked_socket")
class TestTls:
    @pytest.mark.parametrize(("which", "version"), [("old", "TLSv1.2"), ("new", "TLSv1.3")])
    def test_versions_and_session_resumption(self, make_session, certificates, nginx, which: str, version: str) -> None:
        session = make_session(f"https://127.0.0.1:{getattr(nginx, which)}", verify=certificates.ca)
        first, second, third = (session.get("/") for _ in range(3))
        assert first.error is None
        assert first.text.split()[:2] == [version, "."]
        assert second.text.split()[:2] == [version, "r"]
        assert third.text.split()[:2] == [version, "r"]
        assert first.timings.tls_s > 0
        assert first.timings.connect_s > 0

    def test_server_name_indication(self, make_session, certificates, nginx) -> None:
        session = make_session(f"https://localhost:{nginx.new}", verify=certificates.ca)
        assert session.get("/").text.split()[2] == "localhost"

    @pytest.mark.parametrize(
        ("which", "trusted", "reason"),
        [
            ("new", "other_ca", "unable to get local issuer certificate"),
            ("other_name", "ca", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
            ("expired", "ca", "certificate has expired"),
        ],
    )
    def test_a_certificate_that_fails_says_why(
        self, make_session, environment, certificates, nginx, which, trusted, reason
    ) -> None:
        port = getattr(nginx, which)
        session = make_session(f"https://127.0.0.1:{port}", verify=getattr(certificates, trusted))
        message = str(session.get("/").error)
        assert message.startswith(f"the certificate of 127.0.0.1:{port} was not accepted: ")
        assert reason in message
        relaxed = make_session(f"https://127.0.0.1:{port}", insecure=True)
        assert relaxed.get("/").ok
        (stats,) = environment.recorder.take().endpoints.values()
        assert (stats.requests, stats.failures) == (2, 1)

    def test_the_system_does_not_trust_the_tests_authority(self, make_session, nginx) -> None:
        assert "was not accepted" in str(make_session(f"https://127.0.0.1:{nginx.new}").get("/").error)

    def test_client_certificates(self, make_session, certificates, nginx) -> None:
        url = f"https://127.0.0.1:{nginx.picky}"
        without = make_session(url, verify=certificates.ca).get("/")
        assert without.status_code == 400
        with_one = make_session(url, verify=certificates.ca, cert=certificates.client).get("/")
        assert with_one.status_code == 200

    def test_files_of_certificates_that_are_none(self, make_session, certificates, nginx, tmp_path) -> None:
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("nothing")
        url = f"https://127.0.0.1:{nginx.new}"
        for attributes in ({"verify": str(wrong)}, {"verify": str(tmp_path / "missing.pem")}, {"cert": str(wrong)}):
            with pytest.raises(ObswarmError, match=r"wrong\.pem|missing\.pem"):
                make_session(url, **attributes).get("/")

    def test_a_context_of_ones_own(self, make_session, certificates, nginx) -> None:
        def context() -> ssl.SSLContext:
            return ssl.create_default_context(cafile=certificates.ca)

        assert make_session(f"https://127.0.0.1:{nginx.new}", ssl_context_factory=context).get("/").ok

    def test_plain_http_on_a_tls_port_and_the_other_way_round(self, make_session, certificates, nginx) -> None:
        assert make_session(f"http://127.0.0.1:{nginx.new}").get("/").status_code == 400
        error = make_session(f"https://127.0.0.1:{nginx.plain}", verify=certificates.ca).get("/").error
        assert f"TLS with 127.0.0.1:{nginx.plain} failed: WRONG_VERSION_NUMBER" in str(error)

    def test_requests_does_the_same_over_our_connections(self, environment, certificates, nginx, monkeypatch) -> None:
        # What the environment says goes before session.verify, in requests and so here.
        monkeypatch.setattr("obswarm.http.requests.session._environment_bundle", lambda: None)
        with HttpSession(environment, f"https://127.0.0.1:{nginx.new}") as session:
            session.verify = certificates.ca
            first = session.get("/")
            assert first.error is None
            assert first.text.split()[:2] == ["TLSv1.3", "."]
            assert session.get("/").text.split()[:2] == ["TLSv1.3", "r"]
            assert session.get(f"https://127.0.0.1:{nginx.picky}/", cert=certificates.client).status_code == 200
            session.verify = True
            error = session.get("/").error
            assert isinstance(error, requests.exceptions.SSLError)
            assert "was not accepted" in str(error)
            assert session.get("/", verify=False).status_code == 200


@pytest.mark.usefixtures("no_leaked_socket")
class TestNginx:
    def test_keep_alive_limits(self, make_session, nginx) -> None:
        session = make_session(f"http://127.0.0.1:{nginx.plain}")
        served = [session.get("/").text.split()[1] for _ in range(7)]
        assert served == ["1", "2", "3", "1", "2", "3", "1"]

    def test_gzip_in_chunks(self, make_session, nginx, environment) -> None:
        session = make_session(f"http://127.0.0.1:{nginx.plain}")
        response = session.get("/files/large.txt")
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.text == "0123456789\n" * 50_000
        (stats,) = environment.recorder.take().endpoints.values()
        assert stats.response_bytes == len(response.raw_body) < 20_000

    def test_large_bodies_head_and_ranges(self, make_session, nginx) -> None:
        session = make_session(f"http://127.0.0.1:{nginx.plain}", default_headers={"Accept-Encoding": "identity"})
        assert len(session.get("/files/large.txt").content) == 550_000
        assert session.head("/files/large.txt").headers["content-length"] == "550000"
        part = session.get("/files/large.txt", headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.content) == (206, b"0123456789")
        streamed = session.get("/files/large.txt", stream=True)
        assert sum(len(piece) for piece in streamed.iter_content(1000)) == 550_000


@pytest.mark.usefixtures("no_leaked_socket")
class TestProxies:
    def test_plain_http_is_forwarded(self, make_session) -> None:
        with ScriptedServer(answer(b"x")) as server, Proxy(password="user:päss") as proxy:
            session = make_session(server.url, proxy=f"http://user:p%C3%A4ss@127.0.0.1:{proxy.port}")
            assert session.get("/a?b=c").content == b"x"
            assert proxy.requests == [f"GET {server.url}/a?b=c HTTP/1.1"]
            assert server.exchanges[0].header("host") == f"127.0.0.1:{server.port}"

    def test_https_goes_through_a_tunnel(self, make_session, certificates, nginx) -> None:
        with Proxy() as proxy:
            session = make_session(
                f"https://127.0.0.1:{nginx.picky}",
                verify=certificates.ca,
                cert=certificates.client,
                proxy_host="127.0.0.1",
                proxy_port=proxy.port,
            )
            assert session.get("/").status_code == 200
            assert session.get("/").status_code == 200
            assert proxy.requests == [f"CONNECT 127.0.0.1:{nginx.picky} HTTP/1.1"]

    def test_a_proxy_that_speaks_tls_itself(self, make_session, certificates, nginx) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates.server)
        with Proxy(tls=context) as proxy:
            session = make_session(
                f"https://127.0.0.1:{nginx.new}", verify=certificates.ca, proxy=f"https://127.0.0.1:{proxy.port}"
            )
            assert session.get("/").text.split()[0] == "TLSv1.3"

    def test_a_proxy_that_refuses(self, make_session, certificates, nginx) -> None:
        with Proxy(password="a:b") as proxy:
            session = make_session(
                f"https://127.0.0.1:{nginx.new}", verify=certificates.ca, proxy=f"http://127.0.0.1:{proxy.port}"
            )
            assert "refused a tunnel to" in str(session.get("/").error)
            assert "HTTP 407 Proxy Authentication Required" in str(session.get("/").error)
        assert "the proxy 127.0.0.1:1: no connection" in str(
            make_session("http://x.test", proxy="127.0.0.1:1").get("/").error
        )

    def test_requests_takes_proxies_from_its_arguments_and_the_environment(self, environment, monkeypatch) -> None:
        with ScriptedServer(answer(b"x")) as server, Proxy(password="u:p") as proxy:
            url = f"http://u:p@127.0.0.1:{proxy.port}"
            with HttpSession(environment, server.url) as session:
                assert session.get("/", proxies={"http": url}).content == b"x"
            monkeypatch.setenv("http_proxy", url)
            monkeypatch.setenv("no_proxy", "")
            from obswarm.http.requests import session as requests_session

            requests_session._environment_proxies.cache_clear()
            with HttpSession(environment, server.url) as session:
                # What the environment says is read once for an address, and another test may have had this port.
                assert session.get("/by-the-environment").content == b"x"
                session.trust_env = False
                assert session.get("/by-the-environment").content == b"x"
            requests_session._environment_proxies.cache_clear()
            assert len(proxy.requests) == 2
            with HttpSession(environment, server.url) as session:
                error = session.get("/", proxies={"http": "http://127.0.0.1:1"}).error
                assert isinstance(error, requests.exceptions.ProxyError)
