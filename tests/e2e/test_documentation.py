"""Every snippet of the documentation works as it stands, but for the names of hosts, and small numbers in place of large
ones."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm import clock
from obswarm.analysis.explain import explain, headline
from obswarm.store import Store
from tests.cli.test_explain import store_run
from tests.support.alertmanager import Alertmanager
from tests.support.documentation import PAGES, Shell, Site, Snippet, snippet, snippets
from tests.support.fleet import Fleet
from tests.support.forked import forked_obswarm
from tests.support.grafana import Grafana
from tests.support.incidents import Incident, database_lock
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT
from tests.support.prometheus import Prometheus, program
from tests.support.recorded import Runs
from tests.support.trace_servers import around, trace_server

VISITOR = """
from obswarm import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def front_page(self):
        self.client.get("/")
"""
STAGING = "https://staging.example.com"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def shell(site: Site, tmp_path: Path) -> Shell:
    """In a folder with a load test; with the hosts that are named on most pages."""
    (tmp_path / "loadtest.py").write_text(VISITOR.replace("wait_time", f"host = {site.url!r}\n    wait_time"))
    return Shell(
        tmp_path,
        {
            STAGING: site.url,
            "http://127.0.0.1:8000": site.url,
            "http://db.staging:9104": site.url,
            "10.0.0.5": "127.0.0.1",
        },
    )


def test_every_snippet_is_run() -> None:
    calls = re.compile(r'\bsnippet\(\s*"([^"]+)",\s*(?:"([^"]+)"|\'([^\']+)\')\s*\)')
    run = {
        snippet(page, double or single)
        for file in ROOT.glob("tests/**/*.py")
        for page, double, single in calls.findall(file.read_text())
    }
    programs = [each for page in PAGES for each in snippets(page) if each.language != "mermaid"]
    assert [f"{each.page}:{each.line}" for each in programs if each not in run] == []


def test_the_table_of_messages_is_complete() -> None:
    defined = re.findall(r"^class (\w+):", (ROOT / "obswarm/cluster/wire/messages.py").read_text(), re.MULTILINE)
    (table,) = re.findall(
        r"^\| message \|.*?\n\n", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE | re.DOTALL
    )
    listed = [name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(defined)


# Load tests.


def test_the_limit_of_a_site_is_searched(shell: Shell) -> None:
    users, rate = (command for _, command in snippet("docs/running.md", "obswarm find-limit").commands)
    short = "--settle 500ms --measure 1s --workers 0"
    printed = shell.run(f"{users} --from 1 --up-to 2 {short}")
    assert "No limit up to 2 users: all loads met the requirements." in " ".join(printed.split())
    printed = shell.run(f"{rate} --up-to 20/s {short}")
    assert "No limit up to 20 iterations/s: all loads met the requirements." in " ".join(printed.split())


def test_a_target_of_which_nothing_is_known_is_recorded(shell: Shell, site: Site) -> None:
    ((_, command),) = snippet("docs/guards.md", "any=http://mail.staging:9500").commands
    shell.run(f"{command.replace('http://mail.staging:9500', site.url)} -u 1 -t 2s --headless --workers 0")
    assert "any (any)" in shell.run("obswarm runs show latest")


def test_a_row_of_a_feed_is_lent(site: Site, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("name,password\na,b\nc,d\n")
    text = in_a_task(snippet("docs/writing-load-tests.md", "accounts.checkout()").text)
    declared = 'from obswarm import feed\n\naccounts = feed.csv("accounts.csv")\n\n'
    run_loadtest(declared + text, tmp_path, site)


def run_loadtest(text: str, folder: Path, site: Site, *arguments: object) -> dict:
    """The result of a run of half a second, or of a longer one where the machine was too busy for a request; nothing
    may have gone wrong in it."""
    (folder / "loadtest.py").write_text(text)
    for seconds in ("500ms", "10s"):
        done = forked_obswarm(
            *("run", "loadtest.py", "-H", site.url, "-u", 2, "-r", 50, "-t", seconds, "--headless", "--json", "-"),
            *arguments,
            cwd=folder,
            OBSWARM_SIGNING_KEY="0123456789abcdef",
        )
        if done.code != 0 or done.result["totals"]["requests"]:
            break
    assert done.code == 0, done.stderr
    result = done.result
    assert (result["errors"], result["exceptions"]) == ([], [])
    assert "There is no listener" not in done.stderr
    return result


def in_a_task(text: str, user_class: str = "FastHttpUser") -> str:
    lines = "".join(f"        {line}\n" for line in text.splitlines())
    return (
        f"from obswarm import {user_class}, constant, task\n\n\n"
        f"class Visitor({user_class}):\n    wait_time = constant(0.1)\n\n    @task\n    def visit(self):\n{lines}"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_sharing_data(workers: int, site: Site, tmp_path: Path) -> None:
    text = snippet("docs/distributed.md", "def share_accounts")
    run_loadtest(text.text, tmp_path, site, "--workers", workers)
    assert ("GET", "/profile/user-0") in site.requests


def test_sharing_data_with_a_worker_that_joins_later(tmp_path: Path) -> None:
    with Site() as site, Fleet(tmp_path, site.url, snippet("docs/distributed.md", "def share_accounts").text) as fleet:
        master = fleet.master("-u", 2, "-r", 50, "--balance", "equal", "--no-store")
        for account in ("user-0", "user-100"):
            fleet.worker()
            wait_until(lambda path=f"/profile/{account}": ("GET", path) in site.requests, fleet.log)  # type: ignore[misc]  # mypy knows no defaults of lambdas
        master.send_signal(signal.SIGINT)
        assert master.wait(HANG_S) == 130, fleet.log()
        assert (fleet.result()["errors"], fleet.result()["exceptions"]) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        snippet("README.md", "class Contestant(FastHttpUser)"),
        snippet("docs/getting-started.md", "class Visitor(FastHttpUser)"),
        snippet("docs/writing-load-tests.md", "class Shopper(FastHttpUser)"),
        snippet("docs/writing-load-tests.md", "class Customer(FastHttpUser)"),
        snippet("docs/workload-models.md", "class Checkout(SequentialTaskSet)"),
        snippet("docs/workload-models.md", "iterations = 100"),
    ],
    ids=lambda text: text.page,
)
def test_whole_files(text: Snippet, site: Site, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("name,password\n" + "".join(f"user-{n},x\n" for n in range(100)))
    run_loadtest(text.text, tmp_path, site)


@pytest.mark.parametrize(
    ("text", "user_class"),
    [
        (snippet("docs/http-client.md", 'params={"a": 1}'), "FastHttpUser"),
        (snippet("docs/http-client.md", "self.rest("), "FastHttpUser"),
        (snippet("docs/http-client.md", "iter_lines()"), "FastHttpUser"),
        (snippet("docs/http-client.md", "discard_body=True"), "FastHttpUser"),
        (snippet("docs/writing-load-tests.md", "timeout=(2, 30)"), "FastHttpUser"),
        (snippet("docs/writing-load-tests.md", "timeout=(2, 30)"), "HttpUser"),
        (snippet("docs/writing-load-tests.md", "environment.events.request.fire"), "User"),
    ],
)
def test_what_stands_in_tasks(text: Snippet, user_class: str, site: Site, tmp_path: Path) -> None:
    # One of them prints, which does not get into the result on standard output.
    (tmp_path / "large.bin").write_bytes(bytes(1_000_000))
    (tmp_path / "name.txt").write_text("content")
    result = run_loadtest(in_a_task(text.text, user_class), tmp_path, site)
    assert result["totals"]["requests"] >= 1


def test_other_protocols(site: Site, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "members") as database:
        database.execute("CREATE TABLE members (name TEXT)")
        database.execute("INSERT INTO members VALUES ('a')")
    text = snippet("docs/writing-load-tests.md", "environment.request(")
    test = f"""import sqlite3
from obswarm import User, constant, task

{text.text}

class Member(User):
    wait_time = constant(0.1)

    @task
    def read(self):
        client = SqlClient(self.environment, sqlite3.connect("members"))
        assert client.select("members", "SELECT name FROM members") == [("a",)]
"""
    result = run_loadtest(test, tmp_path, site)
    assert {(each["method"], each["name"]) for each in result["endpoints"]} == {("SQL", "members")}


@pytest.mark.parametrize(
    "text",
    [
        snippet("docs/writing-load-tests.md", "class Peak(Stages)"),
        snippet("docs/writing-load-tests.md", "class Waves(LoadTestShape)"),
        snippet("docs/guards.md", 'Guard("error_ratio'),
    ],
    ids=lambda text: f"{text.page}:{text.text.splitlines()[0]}",
)
def test_what_stands_beside_users(text: Snippet, site: Site, tmp_path: Path) -> None:
    # Names that the page has imported before.
    run_loadtest(f"from obswarm import *\n{VISITOR}\n{text.text}", tmp_path, site)


def test_signed_requests(site: Site, tmp_path: Path) -> None:
    text = snippet("docs/writing-load-tests.md", "request_signer = RequestSigner").text
    test = f"from obswarm import constant, task\n{text}    wait_time = constant(0.1)\n\n    @task\n    def visit(self):\n        self.client.get('/')\n"
    run_loadtest(test, tmp_path, site)
    assert "X-Obswarm-Signature" in site.last_headers


def test_options_of_ones_own(site: Site, tmp_path: Path) -> None:
    text = snippet("docs/writing-load-tests.md", "def add_options(parser)")
    visit = VISITOR.replace('get("/")', 'get("/" + self.environment.parsed_options.tenant)')
    run_loadtest(f"from obswarm import events\n{text.text}\n{visit}", tmp_path, site, "--tenant", "green")
    assert ("GET", "/green") in site.requests


def test_one_user_in_a_debugger(site: Site, tmp_path: Path) -> None:
    text = snippet("docs/writing-load-tests.md", "run_single_user(Visitor)")
    once = VISITOR.replace('self.client.get("/")', 'self.client.get("/")\n        raise StopUser')
    file = tmp_path / "loadtest.py"
    file.write_text(f"from obswarm import StopUser, run_single_user\n{once}\n\n{text.text}")
    done = subprocess.run(
        [sys.executable, file, "-H", site.url], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"GET +/ ", done.stdout)


# Commands.


def test_the_two_commands(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they do has tests of its own: all of these, and those of `obswarm demo`."""
    assert [command for _, command in snippet("README.md", "make test").commands] == ["make demo", "make test"]
    others = [command.split()[1] for _, command in snippet("CONTRIBUTING.md", "make test").commands]
    cloned, made = snippet("docs/getting-started.md", "git clone").commands
    shell.replaced["<this repository>"] = f"--quiet --no-tags --depth 1 file://{ROOT} obswarm"
    dry = f"; make --dry-run demo {' '.join(others)}"
    assert made[1] == "make demo"
    printed = shell.run(f"{cloned[1]}{dry}")
    assert "bin/obswarm demo" in printed
    assert "bin/python -m pytest -n auto" in printed


def test_the_first_run_is_as_its_page_says(shell: Shell) -> None:
    for name in ("OBSWARM_NO_REPORT", "OBSWARM_STORE"):
        shell.environment.pop(name, None)
    (shell.folder / "locustfile.py").write_text(snippet("docs/first-run.md", "class Visitor(HttpUser)").text)
    ((_, command),) = snippet("docs/first-run.md", "obswarm run -f").commands
    shell.replaced[".venv/bin/obswarm"] = "obswarm"
    printed = shell.run(command)
    assert "`import locust` imports obswarm's own classes" in printed
    assert "Page: http://127.0.0.1:" in printed
    assert "The load generator was" in printed
    (report,) = (shell.folder / ".obswarm" / "reports").glob("*.html")
    assert report.name in printed
    assert len((ROOT / "docs/first-run.md").read_text().splitlines()) < 30, "it is to be read in a minute"


@pytest.mark.parametrize(
    "text",
    [
        snippet("README.md", "--stages 1m:100"),
        snippet("README.md", "--stop-when 'error_ratio"),
        snippet("docs/getting-started.md", "-u 50 -r 10 -t 1m"),
        snippet("docs/guards.md", "--stop-when 'error_ratio"),
        snippet("docs/guards.md", "--stop-when 'slow checkout"),
        snippet("docs/guards.md", "--junit junit.xml"),
        snippet("docs/distributed.md", "--workers 8"),
        snippet("docs/workload-models.md", "--arrival-rate 200/s -t 5m"),
        snippet("docs/workload-models.md", "-u 20 --iterations 1000"),
        snippet("docs/workload-models.md", "--require 'dropped < 10'"),
    ],
    ids=lambda text: f"{text.page}:{text.line}",
)
def test_runs(text: Snippet, shell: Shell) -> None:
    for _, command in text.commands:
        short = command if re.search(r"-t |--stages|--arrival-rate \"", command) else f"{command} -t 2s"
        # A requirement about something that was never requested is not met.
        shell.replaced |= {"--workers 8": "--workers 2", 'name="/login"': 'name="/"'}
        shell.run(short)


def test_targets_are_looked_at(shell: Shell) -> None:
    (printed,) = shell.run_all(snippet("docs/guards.md", "obswarm targets --target"))
    assert "threads running" in printed
    (printed,) = shell.run_all(snippet("docs/guards.md", "--kind-of"))
    assert printed.startswith("mysql: MySQL, 1 of the ")


def test_a_kind_of_ones_own(shell: Shell, site: Site) -> None:
    table = snippet("docs/guards.md", 'name = "jobs"').text
    (shell.folder / "obswarm.toml").write_text(f'{table}\n[[targets]]\nkind = "jobs"\nurl = "{site.url}/metrics"\n')
    # It is scraped, and has none of these metrics.
    assert "no jobs" in shell.run("obswarm targets --watch-for 1s; true")


@pytest.mark.parametrize(
    "text",
    [snippet("README.md", "obswarm master loadtest.py"), snippet("docs/distributed.md", "umask 077")],
    ids=lambda text: text.page,
)
def test_a_fleet(text: Snippet, shell: Shell) -> None:
    port = free_port()
    shell.replaced |= {"0.0.0.0": f"127.0.0.1:{port}", "10.0.0.5": f"127.0.0.1:{port}", "--expect-workers 3": ""}
    shell.run("(umask 077; head -c 32 /dev/urandom | base64 > secret)")
    started = []
    for role, command in text.commands:
        if "obswarm" not in command:
            assert role == ""
            shell.run(command)
            continue
        more = " -t 2s" if "obswarm master" in command and "-t" not in command else ""
        started.append((command, shell.start(command + more)))
    for command, process in started:
        shell.finish(command, process)


def has_workers(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            return bool(json.load(answer)["workers"])
    except OSError:
        return False


def test_a_master_that_stays(shell: Shell) -> None:
    port, web_port = free_port(), free_port()
    shell.replaced = {"http://10.0.0.5:8089": f"http://127.0.0.1:{web_port}", "10.0.0.5": f"127.0.0.1:{port}"}
    shell.replaced |= {"--bind 0.0.0.0": f"--bind 127.0.0.1:{port} --web-port {web_port}"}
    shell.environment["TOKEN"] = "0123456789abcdef0123456789abcdef"
    shell.run("(umask 077; head -c 32 /dev/urandom | base64 > secret)")
    (_, master), (_, worker), (_, run) = snippet("docs/stack.md", "obswarm master --serve").commands
    staying = [shell.start(f"exec {master}"), shell.start(f"exec {worker}")]
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{web_port}/api/v1/service",
            headers={"Authorization": f"Bearer {shell.environment['TOKEN']}"},
        )
        wait_until(lambda: has_workers(request))
        shell.run(f"{run} -t 2s")
    finally:
        for process in staying:
            process.terminate()
        for process in staying:
            process.communicate(timeout=HANG_S)


def test_with_a_prometheus_that_is_there(shell: Shell) -> None:
    with Prometheus() as prometheus:
        shell.replaced["http://prometheus:9090"] = prometheus.url
        ((_, command),) = snippet("docs/existing-prometheus.md", "--prometheus-url").commands
        shell.run(f"{command} -t 2s")
        shell.replaced["https://prometheus.example.com"] = prometheus.url
        shell.environment["TOKEN"] = "of-nobody"
        shell.run_all(snippet("docs/metrics.md", "--remote-write https"))
        assert prometheus.query("sum(obswarm_requests_total)")


def test_an_opentelemetry_collector(shell: Shell, site: Site) -> None:
    shell.replaced["http://collector:4318"] = site.url
    ((_, command),) = snippet("docs/metrics.md", "--otlp --trace-sample").commands
    shell.run(f"{command} -t 2s")
    assert ("POST", "/v1/metrics") in site.requests


def test_being_scraped_from_elsewhere(shell: Shell) -> None:
    ((_, command),) = snippet("docs/existing-prometheus.md", "--metrics-addr 0.0.0.0").commands
    shell.replaced |= {"--metrics-addr 0.0.0.0": "--metrics-addr 127.0.0.1", "8089": str(free_port())}
    assert "metrics" in shell.run(f"{command} -t 2s").lower()


def test_dashboards(shell: Shell) -> None:
    grafana = Grafana()
    try:
        shell.replaced["https://grafana.example.com"] = grafana.url
        shell.environment["TOKEN"] = "right"
        shell.run_all(snippet("docs/existing-prometheus.md", "obswarm dashboards export"))
        exported = sorted(path.name for path in (shell.folder / "grafana").iterdir())
        assert len([name for name in exported if re.fullmatch(r"obswarm-.*\.json", name)]) == 4
        assert {"recording.yml", "alerts.yml"} <= set(exported)
        assert len(grafana.orders) == 4
    finally:
        grafana.close()


def test_runs_that_are_kept(shell: Shell) -> None:
    store = shell.folder / "store"
    store.mkdir()
    runs = Runs(store / "runs.sqlite")
    for day in (1, 2, 3):
        runs.make(day)
    shell.environment["OBSWARM_STORE"] = str(store)
    shell.replaced["runs rm 20260131"] = "runs rm --yes 20260131"
    printed = shell.run_all(snippet("docs/runs.md", "obswarm runs list"))
    assert "20260133" in printed[0]
    assert "20260131" not in shell.run("obswarm runs list")
    runs.make(4)
    compared, checked = snippet("docs/runs.md", "obswarm compare baseline latest --fail-on").commands
    shell.run(compared[1])
    # A change that is sure, and larger than that, is exit code 5; these two are alike.
    shell.run(checked[1])


def test_a_run_is_explained(shell: Shell) -> None:
    store = shell.folder / "store"
    store.mkdir()
    Runs(store / "runs.sqlite").make(1)
    shell.environment["OBSWARM_STORE"] = str(store)
    shell.run("obswarm runs tag latest baseline")
    text, document = shell.run_all(snippet("docs/explain.md", "obswarm explain latest"))
    assert json.loads(document)["headline"] in text.replace("\n", " ")


def test_a_run_is_explained_with_traces(shell: Shell) -> None:
    store = shell.folder / "store"
    store.mkdir()
    store_run(store)
    shell.environment["OBSWARM_STORE"] = str(store)
    with Store(store / "runs.sqlite") as opened:
        traces = around(opened.find("latest").started_s + 31)
    with trace_server("tempo", traces) as tempo, trace_server("jaeger", traces) as jaeger:
        shell.replaced |= {"http://tempo.staging:3200": tempo.url, "http://jaeger.staging:16686": jaeger.url}
        text, document = shell.run_all(snippet("docs/explain.md", "obswarm explain --traces"))
    grown = json.loads(document)["traces"]["sentences"][1]
    assert grown.startswith("The span that grew: UPDATE standings (mysql)")
    assert " ".join(grown.split()) in " ".join(text.split())


def test_the_numbers_of_the_documented_incident_are_consistent() -> None:
    text = snippet("docs/explain.md", "What users noticed").text
    units = {"ms": 1e-3, "s": 1.0, "": 1.0}
    changes = re.findall(r"from ([\d.]+)(?: (m?s))? to ([\d.]+)(?: (m?s))? \(([\d.]+)-fold\)", text)
    assert len(changes) >= 5
    for before, unit, after, other, fold in changes:
        ratio = float(after) * units[other] / (float(before) * units[unit])
        assert ratio == pytest.approx(float(fold), rel=0.05), (before, after)


def test_the_documented_explanation_is_that_of_the_simulated_lock() -> None:
    line = snippet("docs/explain.md", "row lock waits rose").text.strip()
    numbers = re.compile(r"\d+")
    assert numbers.sub("N", headline(explain(Incident(database_lock).record()))) == numbers.sub("N", line)


# Configuration.


@pytest.mark.parametrize(
    "text",
    [snippet("docs/guards.md", "[[guards]]"), snippet("docs/runs.md", "keep_runs")],
    ids=lambda text: text.page,
)
def test_settings(text: Snippet, shell: Shell) -> None:
    with Prometheus() as prometheus:
        shell.replaced["http://prometheus:9090"] = prometheus.url
        (shell.folder / "obswarm.toml").write_text(shell.text_of(text.text))
        shell.run("obswarm run loadtest.py -u 1 -t 2s --headless")


def test_a_curve(shell: Shell) -> None:
    printed = shell.run_all(snippet("docs/workload-models.md", "> day.csv"))
    assert "iterations finished" in printed[-1]


def test_a_curve_of_a_prometheus(shell: Shell) -> None:
    ended_s = int(clock.wall()) - 86400
    samples = "".join(f"http_requests_total {7 * each} {ended_s - 7200 + each}\n" for each in range(-60, 7201, 15))
    with Prometheus(history=f"# TYPE http_requests counter\n{samples}# EOF\n") as prometheus:
        shell.replaced |= {"http://prometheus:9090": prometheus.url, ")*2'": ")*2' -t 1s"}
        shell.run_all(snippet("docs/workload-models.md", "offset 1d"))


def test_scenarios(site: Site, tmp_path: Path) -> None:
    text = snippet("docs/workload-models.md", "scenarios = [").text
    guard = snippet("docs/workload-models.md", "p95{scenario=").text
    for long, short in (
        ('50, spawn_rate=10, run_time="5m"', '3, spawn_rate=10, run_time="1s"'),
        ("1m:20/s,3m:20/s", "0s:20/s,1s:20/s"),
        ("300ms", "30s"),
        ('start_after="30s"', 'start_after="500ms"'),
        ("iterations=1000", "iterations=20"),
    ):
        assert long in text
        text = text.replace(long, short)
    (tmp_path / "scenarios.py").write_text(text + guard)
    ((_, command),) = snippet("docs/workload-models.md", "run scenarios.py").commands
    words = command.replace("https://staging.example.com", site.url).split()[1:]
    done = forked_obswarm(*words, "--headless", "--json", "-", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert [each["scenario"] for each in done.result["scenarios"]] == ["browse", "checkout", "import"]
    assert [each["met"] for each in done.result["requirements"]] == [True, True]
    assert done.result["limited_iterations"] == [{"limit": "import", "number": 20, "ended": 20}]
    assert done.result["stop_reason"]["detail"] == "all scenarios have ended"


def test_a_rate_of_the_file(shell: Shell) -> None:
    text = snippet("docs/workload-models.md", 'arrivals = "poisson"').text
    (shell.folder / "obswarm.toml").write_text(text.replace("30s:50/s,2m:400/s,1m:0/s", "1s:20/s,1s:20/s"))
    assert "iterations finished" in shell.run("obswarm run loadtest.py --headless")


@pytest.mark.parametrize(
    "text",
    [snippet("docs/settings.md", "keep_runs"), snippet("docs/coming-from-locust.md", "spawn_rate = 10")],
    ids=lambda text: text.page,
)
def test_settings_of_whole_projects(text: Snippet, shell: Shell) -> None:
    """What they say is read and checked; nothing has the tags that they choose."""
    name = shell.folder / tomllib.loads(text.text)["loadtest"]
    name.parent.mkdir(parents=True, exist_ok=True)
    (shell.folder / "loadtest.py").rename(name)
    (shell.folder / "obswarm.toml").write_text(text.text)
    assert "Visitor" in shell.run("obswarm run --list")


@pytest.mark.parametrize(
    "text",
    [
        snippet("docs/existing-prometheus.md", 'loadgen.example.com:8089"]'),
        snippet("docs/metrics.md", "scrape_interval: 1s"),
    ],
    ids=lambda text: text.page,
)
def test_configurations_of_prometheus(text: Snippet, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(text.text)
    done = subprocess.run(
        [program("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_configurations_of_alertmanager() -> None:
    """It refuses to start with one that it cannot read. Both are to be put into a configuration that has the rest."""
    whole = "route: {receiver: load-test}\n" + snippet("docs/guards.md", "alertmanager.yml").text
    part = snippet("docs/existing-prometheus.md", "obswarm_action=~").text.replace(
        "route:", "route:\n  receiver: obswarm"
    )
    for configuration in (whole, part):
        with Alertmanager("", "", configuration):
            pass
