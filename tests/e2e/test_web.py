"""`obswarm run` with its page and `obswarm ctl`: the documentation's commands, TLS, access, what is refused."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme

from tests.support.documentation import Shell, Site, snippet
from tests.support.forked import forked_obswarm
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, obswarm, start_obswarm

LOADTEST = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def front_page(self):
        self.client.get("/")
"""
TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--web", "--metrics-addr", "0.0.0.0"), "give --web-auth USER:PASSWORD or --web-token-file FILE"),
        (("--web-auth", "ann"), "--web-auth: write it as USER:PASSWORD"),
        (("--web-token-file", "missing"), "--web-token-file missing: it cannot be read"),
        (("--tls-cert", "cert.pem"), "--tls-cert and --tls-key need each other"),
        (("--tls-cert", "missing.pem", "--tls-key", "missing.pem"), "they cannot be used: No such file or directory"),
        (("--web", "--headless"), "--web"),
        (("--web", "--master", "http://127.0.0.1:9"), "leave one of them out"),
    ],
)
def test_what_is_refused(options: tuple[str, ...], complaint: str) -> None:
    done = forked_obswarm("run", "examples/basic.py", "-H", "http://127.0.0.1:9", "--web-port", 0, *options)
    assert (done.code, complaint in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_of_the_documentation(tmp_path: Path) -> None:
    port = free_port()
    with Site() as site:
        test = LOADTEST.replace("wait_time", f"host = {site.url!r}\n    wait_time")
        (tmp_path / "loadtest.py").write_text(test)
        shell = Shell(tmp_path, {"localhost:8089": f"127.0.0.1:{port}", "10s": "1s", " --autoquit 1m &": ""})
        shell.environment |= {"OBSWARM_URL": f"http://127.0.0.1:{port}", "OBSWARM_WEB_PORT": str(port)}
        (_, serve), (_, start) = snippet("docs/rest-api.md", "obswarm ctl start").commands
        server = shell.start(serve)
        try:
            wait_until(lambda: shell.start("obswarm ctl status").wait() == 0, every_s=0.5)
            printed = shell.run(start)
            assert printed.splitlines()[-1].count("stopped") == 1
            for _, command in snippet("docs/rest-api.md", "curl -sX POST").commands:
                assert '"run_id"' in shell.run(command)
            shell.run("obswarm ctl stop")
        finally:
            server.terminate()
            output, _ = server.communicate(timeout=HANG_S)
        assert site.requests
        assert "Traceback" not in output


def test_routes_of_a_load_test(tmp_path: Path, target: CountingServer) -> None:
    (tmp_path / "loadtest.py").write_text(snippet("docs/rest-api.md", '@web_ui.app.route("/basket")').text)
    port = free_port()
    program = start_obswarm(
        "run", "-H", target.url, "--workers", 0, "-u", 2, "-r", 99, "--web-port", port, cwd=tmp_path
    )
    try:

        def users() -> int:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/basket", timeout=HANG_S) as answer:
                    return int(answer.read().split(b":")[1].strip(b" }\n"))
            except (urllib.error.URLError, ConnectionError):
                return 0

        wait_until(lambda: users() == 2)
    finally:
        program.terminate()
        program.communicate(timeout=HANG_S)


def test_tls_and_a_token(tmp_path: Path, target: CountingServer) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    port = free_port()
    options = ("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--web-token-file", "token")
    program = start_obswarm(
        "run", "-H", target.url, "--workers", 0, "--web", "--web-port", port, *options, cwd=tmp_path
    )
    url = f"https://localhost:{port}"
    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

    def status_of(path: str, **headers: str) -> int:
        try:
            request = urllib.request.Request(url + path, headers=headers)
            with urllib.request.urlopen(request, timeout=HANG_S, context=trusted) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, ConnectionError):
            return 0

    try:
        wait_until(lambda: status_of("/") == 200)
        assert status_of("/api/v1/status") == 401
        assert status_of("/api/v1/status", Authorization=f"Bearer {TOKEN}") == 200
        assert status_of("/metrics") == 200, "scrapers need no token"
        access = ("--url", url, "--ca-file", "ca.pem")
        refused = obswarm("ctl", "status", *access, cwd=tmp_path)
        assert (refused.code, "needs a login: set --auth or --token-file" in refused.stderr) == (2, True)
        shown = obswarm("ctl", "status", *access, "--token-file", "token", cwd=tmp_path)
        assert (shown.code, "no run yet" in shown.stdout) == (0, True), shown.stderr
    finally:
        program.terminate()
        program.communicate(timeout=HANG_S)


def test_ctl_without_a_server_is_a_sentence() -> None:
    done = forked_obswarm("ctl", "status", "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.code, done.stdout) == (2, "")
    assert "No server responds at http://127.0.0.1:" in done.stderr
