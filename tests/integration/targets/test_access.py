"""A real Prometheus that lets in who has a password and a certificate of its authority alone, below a path."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import trustme

from obswarm.api import ObswarmError
from obswarm.config import AccessConfig
from obswarm.http import ApiAccess, ApiSession
from obswarm.targets import EmbeddedSource, PrometheusSource, Target
from tests.support.programs import obswarm
from tests.support.prometheus import Prometheus

PASSWORD = "pass:wört"
HASH = "$2b$04$abcdefghijklmnopqrstuujUMlumC.MHkmxLyizWS1yyQI38f/kvy"
"""That of the password by bcrypt (crypt(5)), at the least cost."""
UNREAD = "{__name__=~`prometheus_build\\w+`}"
"""Prometheus reads it, our parser does not."""
LOADTEST = """
from obswarm import User, constant, task

class Idle(User):
    wait_time = constant(0.1)

    @task
    def nothing(self):
        pass
"""


@dataclass(frozen=True)
class Strict:
    url: str
    folder: Path

    def access(self, **changes: str | None) -> ApiAccess:
        files = {name: str(self.folder / f"{name}.pem") for name in ("ca", "cert", "key")}
        given = {f"{name}_file": path for name, path in files.items()}
        return ApiAccess(**{"auth": f"me:{PASSWORD}", **given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    folder = tmp_path_factory.mktemp("strict")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    # Of the server, and of its clients as well.
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    tls = {
        "cert_file": str(folder / "cert.pem"),
        "key_file": str(folder / "key.pem"),
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": str(folder / "ca.pem"),
    }
    server = Prometheus(web={"tls_server_config": tls, "basic_auth_users": {"me": HASH}}, path="/prom")
    with server as running:
        yield Strict(running.url, folder)


@pytest.mark.parametrize("address", ["{url}", "{url}/"])
def test_a_prometheus_with_tls_proxy_and_credentials_is_queried(strict: Strict, address: str) -> None:
    source = PrometheusSource(address.format(url=strict.url), access=strict.access())
    source.check("vector(2)")
    source.check(UNREAD)
    source.check(" + ".join(["vector(1)"] * 1_000))
    source.start()
    assert [sample.value for sample in source.query(" + ".join(["vector(1)"] * 1_000))] == [1000.0]
    source.close()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ca_file": None}, "has a certificate that is not trusted .* name its authority's by --prometheus-ca-file"),
        ({"cert_file": None, "key_file": None}, "wants a client certificate: name it by --prometheus-cert-file"),
        ({"auth": None}, "wants a user or a token; give --prometheus-auth"),
        ({"auth": "me:other"}, r"does not accept the user and password of --prometheus-auth \(HTTP 401"),
    ],
)
def test_what_is_missing_is_said_before_the_run(strict: Strict, changes: dict[str, Any], sentence: str) -> None:
    source = PrometheusSource(strict.url, access=strict.access(**changes))
    with pytest.raises(ObswarmError, match=sentence):
        source.start()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("{url}/elsewhere", "has no Prometheus API at {url}/elsewhere/api/v1/query: check the path"),
        ("http{url}", "speaks TLS at that port: write https:// instead of http://"),
    ],
)
def test_a_wrong_address_is_said_before_the_run(strict: Strict, url: str, sentence: str) -> None:
    found = url.replace("{url}", strict.url).replace("httphttps", "http")
    with pytest.raises(ObswarmError) as refused:
        PrometheusSource(found, access=strict.access()).start()
    assert sentence.replace("{url}", strict.url) in str(refused.value)


@pytest.mark.parametrize("query", ["foo(up)", "up{", "up[5m]", "prometheus_build_info @ end() @ end()"])
def test_a_query_that_prometheus_does_not_take_ends_before_the_run(strict: Strict, query: str) -> None:
    source = PrometheusSource(strict.url, access=strict.access())
    source.check(query)
    with pytest.raises(ObswarmError, match="the query"):
        source.start()


def test_its_own_metrics_are_a_target_that_needs_the_same(strict: Strict) -> None:
    target = Target("app", f"{strict.url}/metrics", "app", access=strict.access())
    source = EmbeddedSource([target])
    with ApiSession(2**20, 5, access=target.access) as session:
        source._scrape(session, target)
    (health,) = source.health()
    assert (health.up, health.has_metrics) == (True, True), health.detail


def test_options_environment_and_file_say_it_together(strict: Strict, tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    (tmp_path / "obswarm.toml").write_text(
        f"prometheus_url = '{strict.url}'\nprometheus_header = ['X-Scope-OrgID: shop']\n"
        f"prometheus_cert_file = '{strict.folder / 'cert.pem'}'\nstop_when = ['promql(vector(2)) > 1']\n"
    )
    done = obswarm(
        *("run", "loadtest.py", "-t", "20s", "--workers", 0, "--headless", "--no-store", "--web-port", 0),
        *("--linger", 0, "--prometheus-key-file", strict.folder / "key.pem", "--json", "-", "--only-summary"),
        cwd=tmp_path,
        OBSWARM_PROMETHEUS_AUTH=f"me:{PASSWORD}",
        REQUESTS_CA_BUNDLE=str(strict.folder / "ca.pem"),
    )
    assert done.code == 3, done.stderr
    assert done.result["guards"][0]["state"] == "tripped"


def test_fields_have_settings_of_the_same_names() -> None:
    assert {field.name for field in fields(AccessConfig)} == {field.name for field in fields(ApiAccess)}
