"""Command lines and configuration files of Locust, as programs."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.documentation import Shell, Site, snippet
from tests.support.nginx import free_port
from tests.support.patience import HANG_S

SHOP = """
import logging
from locust import FastHttpUser, constant, events, tag, task

@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--shop", choices=["near", "far"], default="near", env_var="LOCUST_SHOP", is_secret=False)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--quick", action="store_true", env_var="SHOP_QUICK")
    parser.add_argument("--names", nargs="*", default=[], include_in_web_ui=False)

@events.init.add_listener
def say(environment, **_):
    options = environment.parsed_options
    print("OPTIONS", options.shop, options.count, options.quick, *options.names)

class Visitor(FastHttpUser):
    host = "HOST"
    wait_time = constant(0.05)

    @tag("read")
    @task(3)
    def read(self):
        self.client.get("/read")

    @tag("search")
    @task
    def search(self):
        self.client.get("/search")

    @task
    def pay(self):
        self.client.get("/pay")
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def shell(site: Site, tmp_path: Path) -> Shell:
    (tmp_path / "home").mkdir()
    made = Shell(tmp_path, {})
    made.environment |= {"HOME": str(tmp_path / "home")}
    return made


def plain(site: Site) -> str:
    """The load test without options of its own."""
    begin, _, end = SHOP.partition("@events.init_command_line_parser")
    return (begin + end[end.index("class Visitor") :]).replace("HOST", site.url)


def test_command_lines_of_the_documentation_work(shell: Shell, site: Site) -> None:
    (_, run), (_, master), (_, worker) = snippet("docs/coming-from-locust.md", "-T read search").commands
    folder = shell.folder / "tests" / "load"
    folder.mkdir(parents=True)
    (folder / "shop.py").write_text(plain(site))
    (shell.folder / "locustfile.py").write_text(plain(site))
    statistics = json.loads(shell.run(f"{run} 2>log"))
    assert {each["name"] for each in statistics} == {"/read", "/search"}
    assert all(sum(each["num_reqs_per_sec"].values()) == each["num_requests"] for each in statistics)
    assert "<html" in (shell.folder / "r_5.html").read_text()
    port = free_port()
    shell.replaced = {"--master-bind-host 10.0.0.5": f"--master-bind-port {port}"}
    shell.replaced |= {"--master-host 10.0.0.5": f"--master-host 127.0.0.1 --master-port {port}"}
    shell.run("(umask 077; head -c 32 /dev/urandom | base64 > secret)")
    started = [shell.start(f"exec {command}") for command in (master, worker)]
    for command, process in zip((master, worker), started, strict=True):
        shell.finish(command, process)


def test_options_of_the_load_test_from_everywhere(shell: Shell, site: Site) -> None:
    (shell.folder / "locustfile.py").write_text(SHOP.replace("HOST", site.url))
    (shell.folder / "home" / ".locust.conf").write_text("headless = true\nusers = 3\nshop = far\n")
    (shell.folder / "locust.conf").write_text(
        "users = 2\nspawn-rate = 9\nrun-time = 1\ncount = 7\nnames = [a, b]\nworth = 5\n"
    )
    for line, said in {
        "": "OPTIONS far 7 False a b",
        "--count 8 --shop near": "OPTIONS near 8 False a b",
        "--names c Visitor": "OPTIONS far 7 False c Visitor",
        "Visitor": "OPTIONS far 7 False a b",
    }.items():
        printed = shell.run(f"obswarm run --no-store --workers 0 {line}")
        assert said in printed
        assert "Note: locust.conf: worth: neither obswarm nor the load test has such an option; not used." in printed
        assert "Peak: 2 users" in printed
    shell.environment |= {"LOCUST_SHOP": "near", "SHOP_QUICK": "true"}
    # With a worker process, which has no command line.
    assert shell.run("obswarm run --no-store --workers 1").count("OPTIONS near 7 True a b") == 2
    shell.environment |= {"LOCUST_SHOP": "nowhere"}
    failed = shell.start("obswarm run --no-store")
    printed, _ = failed.communicate(timeout=HANG_S)
    assert (failed.returncode, "invalid choice: 'nowhere'" in printed) == (2, True)


def test_options_for_user_classes_apply(shell: Shell, site: Site) -> None:
    others = (
        "class Admin(Visitor):\n    weight = 3\n    @task\n    def admin(self):\n        self.client.get('/admin')\n"
    )
    (shell.folder / "locustfile.py").write_text(f"{plain(site)}\n\n{others}")
    config = json.dumps([{"user_class_name": "Visitor", "tasks": ["read"]}, {"user_class_name": "Admin", "weight": 0}])
    (shell.folder / "users.json").write_text(config)
    line = "obswarm run --no-store --headless -t 1 --only-summary --json"
    printed = shell.run(f"{line} --config-users users.json 2>log")
    assert {each["name"] for each in json.loads(printed)} == {"/read"}
    shell.environment |= {"LOCUST_USER_CLASSES": "Visitor"}
    assert "/admin" not in shell.run(f"{line} -u 5 2>log")
    shell.run("obswarm run --headless -t 1 --profile nightly --equal-weights")
    assert "nightly" in shell.run("obswarm runs list --tag nightly")


def test_logging_is_left_to_the_load_test(shell: Shell, site: Site) -> None:
    own = 'logging.basicConfig(level="INFO", format="MINE %(message)s")\n'
    (shell.folder / "locustfile.py").write_text(plain(site).replace("class Visitor", f"{own}class Visitor"))
    printed = shell.run("obswarm run --no-store --headless -t 1 --skip-log-setup --workers 0")
    assert "MINE `import locust` imports" in printed
    assert "INFO:" not in printed


class _Files(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.path != "/none.py" else 404)
        self.end_headers()
        self.wfile.write(b"x" * 3_000_000 if self.path == "/large.py" else self.content)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(content: str) -> Iterator[str]:
    _Files.content = content.encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_load_test_of_a_url(shell: Shell, site: Site) -> None:
    shell.environment["TMPDIR"] = str(shell.folder / "temporary")
    os.mkdir(shell.environment["TMPDIR"])
    with served(plain(site)) as url:
        assert "/read" in shell.run(f"obswarm run --no-store --headless -t 1 -f {url}/shop.py")
        for name, why in {
            "none.py": "the server answered 404",
            "large.py": "it is larger than 2.0 MiB",
        }.items():
            failed = shell.start(f"obswarm run -f {url}/{name}")
            printed, _ = failed.communicate(timeout=HANG_S)
            assert failed.returncode == 2
            assert f"--loadtest: The load test {url}/{name} cannot be downloaded: {why}." in printed
    with served("<html>") as url:
        failed = shell.start(f"obswarm run {url}/shop.py")
        printed, _ = failed.communicate(timeout=HANG_S)
        assert (failed.returncode, f"{url}/shop.py is not a load test: invalid syntax" in printed) == (2, True)
    assert os.listdir(shell.environment["TMPDIR"]) == []
