"""A fleet as a user starts it: who is let in, who gets which users, and that nobody makes load whom nobody controls."""

import json
import re
import signal
import time
from pathlib import Path

import gevent
import pytest

from tests.support.fleet import Fleet
from tests.support.forked import forked_obswarm
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, start_obswarm
from tests.support.stalls import StallMeter

SECRET = "a secret of more than sixteen characters"

HOST = {"OBSWARM_HOST": "http://127.0.0.1:1"}
"""For load tests that have none."""


@pytest.fixture
def quick():
    with QuickServer() as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, quick: QuickServer):
    with Fleet(tmp_path / "fleet", quick.url) as made:
        yield made


def requests_seen(server: QuickServer) -> int:
    return sum(map(len, server.arrivals().values()))


def test_no_request_comes_later_than_the_orphan_timeout_after_the_master_was_killed(fleet, quick) -> None:
    master = fleet.master("-u", 20, "-r", 50, "--expect-workers", 2, "--orphan-timeout", "3s")
    fleet.wait_for_master()
    workers = [fleet.worker("--give-up-after", "12s"), fleet.worker("--give-up-after", "12s", "--processes", 2)]
    wait_until(lambda: requests_seen(quick) > 200, fleet.log)
    with StallMeter() as stalls:
        master.kill()
        killed_at = time.time()
        assert [worker.wait(HANG_S) for worker in workers] == [2, 2], "they gave up"
        newest = max(max(times) for times in quick.arrivals().values())
    assert newest - killed_at <= 3 + stalls.allowed_s(1, killed_at + 2, killed_at + 5)
    assert newest - killed_at > 1, "they went on for a while, in case that the master comes back"
    assert re.search(r"No contact with the master at \S+ for 12s\.", fleet.log("workers.log"))


def test_worker_processes_of_a_run_end_with_it(loadtest, quick) -> None:
    path = loadtest(
        "from obswarm import FastHttpUser, constant, task\nclass A(FastHttpUser):\n    wait_time = constant(0.05)\n    @task\n    def a(self): self.client.get('/')\n"
    )
    run = start_obswarm("run", path, "-H", quick.url, "-u", 10, "-r", 50, "--workers", 2, "--headless", "--web-port", 0)
    wait_until(lambda: requests_seen(quick) > 100, "no load")
    with StallMeter() as stalls:
        run.kill()
        killed_at = time.time()
        # Their standard error is the run's, so that this is until they have ended.
        run.communicate(timeout=HANG_S)
        gevent.sleep(2)
        assert max(quick.arrivals()["/"]) - killed_at < stalls.allowed_s(1)


def test_a_secret_is_needed_beyond_this_machine(fleet) -> None:
    done = forked_obswarm("master", "loadtest.py", "--bind", "0.0.0.0:0", cwd=fleet.folder)
    assert done.code == 2
    assert "there is no secret" in done.stderr
    assert "--secret-file" in done.stderr
    assert "--insecure" in done.stderr


def test_a_worker_with_the_right_secret_joins_and_others_are_counted_and_logged_once(fleet, quick) -> None:
    master = fleet.master("-u", 4, "-r", 50, "-t", "6s", "--bind", f"0.0.0.0:{fleet.port}", OBSWARM_SECRET=SECRET)
    fleet.wait_for_master()
    wrong = fleet.worker("--give-up-after", "4s", OBSWARM_SECRET=SECRET + "!")
    without = fleet.worker("--give-up-after", "4s")
    assert [wrong.wait(HANG_S), without.wait(HANG_S)] == [2, 2]
    assert (
        fleet.log("workers.log").count("refuses the connection of this worker. Check that both have the same secret;")
        == 2
    )
    right = fleet.worker(OBSWARM_SECRET=SECRET)
    assert (master.wait(HANG_S), right.wait(HANG_S)) == (0, 0), fleet.log()
    assert fleet.log().count("without the right secret") == 1
    assert fleet.result()["rejected"]["refused_handshakes"] >= 2
    assert len(fleet.result()["workers"]) == 1


def test_a_worker_of_another_version_is_refused_with_a_sentence(fleet, quick) -> None:
    import zmq

    from obswarm.cluster.wire.messages import Refused, decode

    fleet.master("-u", 1)
    context = zmq.Context()
    with context.socket(zmq.DEALER) as stranger:
        stranger.set(zmq.RCVTIMEO, int(HANG_S * 1000))
        stranger.connect(f"tcp://127.0.0.1:{fleet.port}")
        # [type of Hello, version of the protocol, what that version wants to say].
        stranger.send(b"\x93\x00\x63\xa5hello")
        answer = decode(stranger.recv())
    context.term()
    assert isinstance(answer, Refused)
    assert "uses protocol version 99" in answer.reason
    assert "Install the same release" in answer.reason


def test_a_worker_whose_file_differs_is_refused_with_a_sentence(fleet, quick, tmp_path: Path) -> None:
    master = fleet.master("-u", 2, "-t", "2s")
    other = tmp_path / "other.py"
    other.write_text((fleet.folder / "loadtest.py").read_text() + "# changed\n")
    different = fleet.worker(other)
    assert different.wait(HANG_S) == 2
    assert "differs from the master's" in fleet.log("workers.log")
    same = fleet.worker(fleet.folder / "loadtest.py")
    assert (master.wait(HANG_S), same.wait(HANG_S)) == (0, 0), fleet.log()


def test_workers_get_the_files_that_the_load_test_needs(fleet, quick) -> None:
    (fleet.folder / "names.txt").write_text("ada\n")
    (fleet.folder / "more").mkdir()
    (fleet.folder / "more" / "late.txt").write_text("late\n")
    (fleet.folder / "package").mkdir()
    (fleet.folder / "package" / "__init__.py").write_text("from .inner import WORD\n")
    (fleet.folder / "package" / "inner.py").write_text("WORD = 'word'\n")
    (fleet.folder / "later.py").write_text("PATH = '/later'\n")
    (fleet.folder / "loadtest.py").write_text(
        "from obswarm import FastHttpUser, constant, task\n"
        "import package\n"
        "NAMES = open('names.txt').read().split()\n"
        "class A(FastHttpUser):\n"
        "    wait_time = constant(0.1)\n"
        "    def on_start(self):\n"
        "        self.word = open('more/late.txt').read().strip()\n"
        "    @task\n"
        "    def a(self):\n"
        "        import later\n"
        "        self.client.get(f'{later.PATH}/{package.WORD}/{NAMES[0]}/{self.word}')\n"
    )
    master = fleet.master("-u", 2, "-t", "2s", "--bundle", "more")
    worker = fleet.worker()
    assert (master.wait(HANG_S), worker.wait(HANG_S)) == (0, 0), fleet.log() + fleet.log("workers.log")
    assert set(quick.arrivals()) == {"/later/word/ada/late"}


def test_a_bundle_that_is_too_large_names_its_largest_files(fleet) -> None:
    (fleet.folder / "big.bin").write_bytes(b"x" * 3_000_000)
    done = forked_obswarm(
        "master", "loadtest.py", "--bundle", "big.bin", "--bundle-limit", "2MiB", cwd=fleet.folder, **HOST
    )
    assert done.code == 2
    assert "2.9 MiB" in done.stderr
    assert "2.0 MiB that are sent to workers" in done.stderr
    assert "big.bin (2.9 MiB)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["worker", "--master", "no-such-host.invalid"], "no-such-host.invalid cannot be resolved"),
        (["worker", "--master", "127.0.0.1:99999"], "is not an address"),
        (["worker", "--master", "127.0.0.1:1", "--give-up-after", "2s"], "No master responds at 127.0.0.1:1"),
        (["worker"], "Missing option '--master'"),
        (["worker", "nothing.py", "--master", "127.0.0.1"], "No such load-test file: nothing.py"),
        (["worker", "--master", "127.0.0.1", "--secret-file", "nothing"], "--secret-file nothing cannot be read"),
        (["run", "loadtest.py", "--workers", "many"], "write auto, a number"),
        (["master", "loadtest.py", "--bind", "example.com"], "is not an IP address"),
        (["master", "loadtest.py", "--bundle", "nothing"], "there is no such file or folder"),
        (["master", "loadtest.py", "--bundle", "/etc/hostname"], "lies outside"),
        (["master", "loadtest.py", "--bundle-limit", "lots"], "is not a size"),
        (["master", "loadtest.py", "--bundle-limit", "1GiB"], "the maximum is 48 MiB"),
        (["master", "loadtest.py", "--expect-workers-max-wait", "1s"], "0 of 1 workers were ready after 1s"),
        (["master", "loadtest.py", "--state", "/proc/nothing/x"], "--state /proc/nothing/x cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(fleet, arguments: list[str], expected: str) -> None:
    more = ["--bind", f"127.0.0.1:{fleet.port}"] if arguments[0] == "master" and "--bind" not in arguments else []
    done = forked_obswarm(*arguments, *more, cwd=fleet.folder, **HOST)
    assert done.code == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_and_an_open_secret_are_said(fleet, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = forked_obswarm(
            "master", "loadtest.py", "--bind", f"127.0.0.1:{port}", "--secret-file", secret, cwd=fleet.folder, **HOST
        )
    assert done.code == 2
    assert f"127.0.0.1:{port} is in use" in done.stderr
    assert f"Others can read the secret file {secret}" in done.stderr
    secret.write_text("short")
    done = forked_obswarm("master", "loadtest.py", "--secret-file", secret, cwd=fleet.folder, **HOST)
    assert done.code == 2
    assert "at least 16 are required" in done.stderr


def test_classes_weights_and_fixed_counts_are_kept_over_the_fleet_while_workers_come_and_go(fleet, quick) -> None:
    (fleet.folder / "loadtest.py").write_text(
        "from obswarm import FastHttpUser, constant, task\n"
        "class Base(FastHttpUser):\n"
        "    abstract = True\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def a(self): self.client.get('/' + type(self).__name__)\n"
        "class Three(Base): weight = 3\n"
        "class One(Base): weight = 1\n"
        "class Two(Base): fixed_count = 2\n"
    )
    port = free_port()
    master = fleet.master("-u", 42, "-r", 100, "--expect-workers", 2, "--web-port", port)
    workers = [fleet.worker(), fleet.worker()]
    expected = {"Three": 30, "One": 10, "Two": 2}

    def users() -> dict[str, int]:
        import re
        import urllib.request

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {
            name: int(float(number)) for name, number in re.findall(r'obswarm_users\{user_class="(\w+)"\} (\S+)', text)
        }

    wait_until(lambda: users() == expected, lambda: f"{users()} {fleet.log()}")
    workers.append(fleet.worker("--processes", 2))
    wait_until(lambda: fleet.log().count("has joined") == 3, fleet.log)
    gevent.sleep(2)
    wait_until(lambda: users() == expected, lambda: f"{users()} {fleet.log()}")
    # A terminal that is closed may send it twice: by the kernel, and by the shell.
    for _ in range(2):
        workers[0].send_signal(signal.SIGHUP)
    assert workers[0].wait(HANG_S) == 0, "it left, and delivered what it had"
    wait_until(lambda: users() == expected, lambda: f"{users()} {fleet.log()}")
    master.terminate()
    assert master.wait(HANG_S) == 130, fleet.log()
    result = fleet.result()
    assert {endpoint["name"]: endpoint["requests"] for endpoint in result["endpoints"]} == {
        path: len(times) for path, times in quick.arrivals().items()
    }
    assert result["lost"] == []


def test_master_and_workers_talk_and_workers_have_indices(fleet, quick) -> None:
    (fleet.folder / "loadtest.py").write_text(
        "import json\n"
        "from obswarm import FastHttpUser, MasterRunner, WorkerRunner, constant, events, task\n"
        "answers = []\n"
        "indices = []\n"
        "@events.init.add_listener\n"
        "def ready(environment, **_):\n"
        "    runner = environment.runner\n"
        "    if isinstance(runner, WorkerRunner):\n"
        "        indices.append(runner.worker_index)\n"
        "        runner.register_message('question', lambda environment, msg: environment.runner.send_message('answer', [msg.data, indices[0]]))\n"
        "    else:\n"
        "        assert isinstance(runner, MasterRunner)\n"
        "        runner.register_message('answer', lambda environment, msg: answers.append([msg.node_id, *msg.data]), concurrent=True)\n"
        "@events.test_start.add_listener\n"
        "def ask(environment, **_):\n"
        "    if isinstance(environment.runner, MasterRunner):\n"
        "        environment.runner.send_message('question', 'all')\n"
        "        environment.runner.send_message('question', 'one', client_id=sorted(node for each in environment.runner.clients.values() for node in each.nodes)[0])\n"
        "@events.report_to_master.add_listener\n"
        "def extra(client_id, data, **_): data['mine'] = client_id\n"
        "extras = set()\n"
        "@events.worker_report.add_listener\n"
        "def got(client_id, data, **_): extras.add(data.get('mine'))\n"
        "@events.quitting.add_listener\n"
        "def write(environment, **_):\n"
        "    if isinstance(environment.runner, MasterRunner):\n"
        "        json.dump([answers, sorted(filter(None, extras))], open('answers.json', 'w'))\n"
        "class A(FastHttpUser):\n"
        "    wait_time = constant(0.2)\n"
        "    @task\n"
        "    def a(self): self.client.get('/')\n"
    )
    master = fleet.master("-u", 3, "-r", 50, "-t", "3s", "--expect-workers", 2)
    workers = [fleet.worker(), fleet.worker("--processes", 2)]
    assert [master.wait(HANG_S), *(worker.wait(HANG_S) for worker in workers)] == [0, 0, 0], fleet.log() + fleet.log(
        "workers.log"
    )
    answers, extras = json.loads((fleet.folder / "answers.json").read_text())
    requested_all = [answer for answer in answers if answer[1] == "all"]
    assert sorted(index for _, _, index in requested_all) == [0, 1, 2]
    assert len({node for node, _, _ in requested_all}) == 3
    (requested_one,) = [answer for answer in answers if answer[1] == "one"]
    assert requested_one[0] == sorted(node for node, _, _ in requested_all)[0]
    assert len(extras) >= 2


def test_changing_holding_and_stopping_reach_all_workers_at_once(fleet, quick) -> None:
    (fleet.folder / "loadtest.py").write_text(
        "import gevent, json, time\n"
        "from obswarm import FastHttpUser, MasterRunner, constant, events, task\n"
        "times = {}\n"
        "@events.test_start.add_listener\n"
        "def begin(environment, **_):\n"
        "    if isinstance(environment.runner, MasterRunner): gevent.spawn(course, environment)\n"
        "def course(environment):\n"
        "    gevent.sleep(3)\n"
        "    times['raised'] = time.time()\n"
        "    environment.runner.start(40, 10000)\n"
        "    gevent.sleep(2)\n"
        "    times['stopped'] = time.time()\n"
        "    environment.runner.quit()\n"
        "@events.quitting.add_listener\n"
        "def write(environment, **_):\n"
        "    if isinstance(environment.runner, MasterRunner): json.dump(times, open('times.json', 'w'))\n"
        "class A(FastHttpUser):\n"
        "    wait_time = constant(0.02)\n"
        "    def on_start(self): self.client.get('/start')\n"
        "    @task\n"
        "    def a(self): self.client.get('/' + self.environment.runner.client_id)\n"
    )
    master = fleet.master("-u", 4, "-r", 100, "--expect-workers", 4)
    with StallMeter() as stalls:
        for _ in range(4):
            fleet.worker()
        assert master.wait(HANG_S) == 0, fleet.log()
    times = json.loads((fleet.folder / "times.json").read_text())
    arrivals = quick.arrivals()
    started = [at - times["raised"] for at in arrivals.pop("/start") if at > times["raised"]]
    assert len(started) == 36
    allowed_s = stalls.allowed_s(0.4, times["raised"] - 1, times["raised"] + 2)
    assert max(started) < allowed_s, "200 ms to reach them, and they are spread over a tenth of a second"
    assert len(arrivals) == 4
    allowed_s = stalls.allowed_s(0.2, times["stopped"] - 1, times["stopped"] + 2)
    assert all(max(seen) - times["stopped"] < allowed_s for seen in arrivals.values())


def test_a_reset_forgets_the_ramp_on_every_worker(fleet, quick) -> None:
    master = fleet.master("-u", 8, "-r", 4, "-t", "7s", "--expect-workers", 2, "--reset-stats")
    workers = [fleet.worker(), fleet.worker()]
    with StallMeter() as stalls:
        assert [master.wait(HANG_S), *(worker.wait(HANG_S) for worker in workers)] == [0, 0, 0], fleet.log()
    assert "statistics are reset" in fleet.log()
    result = fleet.result()
    seen = quick.arrivals()
    # Users that start late make it shorter.
    assert 3 - stalls.stalled_s() < result["duration_s"] < 6
    for endpoint in result["endpoints"]:
        assert 0 < endpoint["requests"] < len(seen[endpoint["name"]])
    # What was counted afterwards is all that came afterwards, to within the moment of the reset.
    since = max(max(times) for times in seen.values()) - result["duration_s"]
    after = sum(at > since for times in seen.values() for at in times)
    per_s = after / result["duration_s"]
    assert result["totals"]["requests"] == pytest.approx(after, abs=0.1 * after + per_s * stalls.stalled_s())


def test_a_user_that_blocks_its_worker_for_long_does_not_end_the_run(loadtest, quick) -> None:
    path = loadtest(
        "import time\n"
        "from obswarm import FastHttpUser, constant, task\n"
        "class Blocking(FastHttpUser):\n"
        "    wait_time = constant(0.1)\n"
        "    def on_start(self):\n"
        "        end = time.perf_counter() + 11\n"
        "        while time.perf_counter() < end: pass\n"
        "    @task\n"
        "    def a(self): self.client.get('/')\n"
    )
    done = forked_obswarm(
        "run", path, "-H", quick.url, "-t", "14s", "--json", "-", "--headless", "--web-port", 0, timeout=HANG_S
    )
    assert done.code == 0, done.stderr
    assert done.result["totals"]["requests"] == requests_seen(quick) > 5
    assert "is back" in done.stderr
