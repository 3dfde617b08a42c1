"""`python loadtest.py` with run_single_user, whatever has been imported before obswarm; and imports in any order."""

import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import trustme
from gevent import joinall, spawn, subprocess

from tests.support.patience import HANG_S
from tests.support.scripted_server import ScriptedServer, answer

ROOT = Path(__file__).parents[3]
LOADTEST = """
{imports}
from obswarm import {kind}, StopUser, run_single_user, task
import gevent, requests

class Visitor({kind}):
    @task
    def page(self):
        self.client.get("/user", **{arguments!r})
        ticks = []
        ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.001)) for _ in range(10_000)])
        requests.get(self.environment.host + "/plain", verify={ca!r})
        ticking.kill()
        print("ticks", len(ticks) > 0)
        raise StopUser

if __name__ == "__main__":
    run_single_user(Visitor)
"""
BEFORE = (
    ("HttpUser", ""),
    ("HttpUser", "import requests, urllib3, ssl; context = ssl.create_default_context()"),
    ("FastHttpUser", "from urllib3.util import create_urllib3_context; from ssl import SSLContext"),
)
FIRST = ("from obswarm import HttpUser", "from obswarm import Guard", "from obswarm.http import FastHttpUser")


def python(arguments: Sequence[object], cwd: Path) -> tuple[int, str, str]:
    """(exit code, stdout, stderr); every warning is an error."""
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=HANG_S, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_single_user_over_tls_without_a_warning_whatever_was_imported_before(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    files = []
    for number, (kind, imports) in enumerate(BEFORE):
        arguments = {"verify": str(ca)} if kind == "HttpUser" else {}
        attribute = "" if kind == "HttpUser" else f"Visitor.verify = {str(ca)!r}\n"
        text = LOADTEST.format(imports=imports, kind=kind, arguments=arguments, ca=str(ca))
        files.append(tmp_path / f"loadtest_{number}.py")
        files[-1].write_text(text.replace('if __name__ == "', attribute + 'if __name__ == "'))
    with ScriptedServer(answer(b"ok"), tls=context) as server:
        running = [spawn(python, [file, "-H", server.url + "/"], tmp_path) for file in files]
        joinall(running)
    for greenlet in running:
        code, output, errors = greenlet.value
        assert (code, errors) == (0, ""), errors
        assert "ticks True" in output
        assert "GET     /user" in output
        assert output.splitlines()[1].endswith("–"), "no error"
    assert (
        sorted(each.request_line for each in server.exchanges)
        == ["GET /plain HTTP/1.1"] * 3 + ["GET /user HTTP/1.1"] * 3
    )


def test_the_first_import_of_any_name_patches_before_ssl_is_there(tmp_path: Path) -> None:
    running = [
        spawn(python, ["-c", f"{first}; import sys; assert 'gevent.ssl' in sys.modules"], ROOT) for first in FIRST
    ]
    joinall(running)
    assert [greenlet.value for greenlet in running] == [(0, "", "")] * len(FIRST)
