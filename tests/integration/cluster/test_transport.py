"""Frames over real sockets, in a program of its own: a mistake here can end the whole process."""

import socket
import subprocess
import sys
from contextlib import ExitStack

import zmq

from tests.support.patience import HANG_S, wait_until

HANGS_UP_WHILE_FRAMES_WAIT = """
import gevent
import zmq.green as zmq
from obswarm.cluster.wire.transport import RouterSocket, new_context

came = []

def slowly(peer, frame):
    came.append(frame)
    if len(came) == 1:
        gevent.sleep(2.5)

listener = RouterSocket(new_context(), "tcp://127.0.0.1:0", None, slowly)
others = zmq.Context()
line = others.socket(zmq.DEALER)
line.connect(listener.endpoint)
for _ in range(2000):
    line.send(b"x" * 1000)
gevent.sleep(0.5)
line.close(0)
for _ in range(600):
    gevent.sleep(0.1)
    if len(came) > 100:
        break
print(len(came))
listener.close()
"""


def test_a_peer_that_hangs_up_while_its_frames_wait_does_no_harm() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS_UP_WHILE_FRAMES_WAIT], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100


SENT_BESIDE_OTHERS = """
import gevent
import zmq.green as zmq
from obswarm.cluster.wire.transport import RouterSocket, new_context

received = []

def echo(peer, frame):
    received.append(frame)
    assert router.send(peer, frame) and not router.send(b"gone", frame) and router.send(peer, frame * 100_000)

router = RouterSocket(new_context(), "tcp://127.0.0.1:0", None, echo)
lines = [zmq.Context.instance().socket(zmq.DEALER) for _ in range(20)]

def talk(line):
    line.connect(router.endpoint)
    for number in range(50):
        line.send(b"%02d" % number)
        assert line.recv() == b"%02d" % number and len(line.recv()) == 200_000

gevent.joinall([gevent.spawn(talk, line) for line in lines], raise_error=True)
print(len(received))
router.close()
"""


def test_frames_of_all_sizes_arrive_and_none_waits_while_others_fail() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SENT_BESIDE_OTHERS], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "1000\n")


FLOODED = """
import resource
import sys
import gevent
from gevent.os import make_nonblocking, nb_read
from obswarm import open_files
from obswarm.cluster.wire import transport
from obswarm.cluster.wire.transport import RouterSocket, new_context

resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
transport._HANDSHAKE_S = 2
came = []
listener = RouterSocket(new_context(), "tcp://127.0.0.1:0", None, lambda peer, frame: came.append(frame))
print(listener.endpoint, flush=True)
make_nonblocking(0)
refused = looks = 0

def look():
    global refused, looks
    while True:
        looks += 1
        try:
            with open("/dev/null"):
                pass
        except OSError:
            refused += 1
        gevent.sleep(0.05)

gevent.spawn(look)
while nb_read(0, 100):
    print(len(came), looks, refused, listener.shed_connections, flush=True)
listener.close()
"""


def test_connections_held_at_the_masters_port_leave_descriptors_for_everything_else() -> None:
    """Those that never shake hands are closed in the end, and then there is room for a worker again."""
    program = subprocess.Popen(
        [sys.executable, "-c", FLOODED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None

    def ask() -> list[int]:
        program.stdin.write("?\n")
        program.stdin.flush()
        return [int(number) for number in program.stdout.readline().split()]

    endpoint = program.stdout.readline().strip()
    context = zmq.Context()
    port = int(endpoint.rpartition(":")[2])
    with ExitStack() as stack:
        stack.callback(context.destroy, 0)
        present = context.socket(zmq.DEALER)
        present.connect(endpoint)
        present.send(b"before")
        wait_until(lambda: ask()[0] == 1)
        for _ in range(300):
            try:
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 0.5))
            except OSError:
                # The queue of connections that wait is full as well.
                break
        present.send(b"meanwhile")
        wait_until(lambda: ask()[0] == 2)
        wait_until(lambda: ask()[3] > 0)
        late = context.socket(zmq.DEALER)
        late.connect(endpoint)

        def arrives_in_the_end() -> bool:
            # A connection that is closed for want of descriptors takes with it what was written to it; a worker
            # repeats its messages, too.
            late.send(b"afterwards", zmq.NOBLOCK)
            return ask()[0] >= 3

        # Those before it in the queue have their time first, all of them.
        wait_until(arrives_in_the_end)
    _, looks, refused, _ = ask()
    assert refused <= looks / 5, (looks, refused)
    _, errors = program.communicate("", timeout=HANG_S)
    assert program.returncode == 0
    assert errors.count("\n") == 1
    assert "further ones are closed" in errors
