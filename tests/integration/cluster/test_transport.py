"""Frames over real sockets, in a program of its own: a mistake here can end the whole process."""

import subprocess
import sys

HANGS_UP_WHILE_FRAMES_WAIT = """
import gevent
import zmq.green as zmq
from obswarm.cluster.transport import Listener, new_context

came = []

def slowly(peer, frame):
    came.append(frame)
    if len(came) == 1:
        gevent.sleep(2.5)

listener = Listener(new_context(), "tcp://127.0.0.1:0", None, slowly)
others = zmq.Context()
line = others.socket(zmq.DEALER)
line.connect(listener.endpoint)
for _ in range(2000):
    line.send(b"x" * 1000)
gevent.sleep(0.5)
line.close(0)
gevent.sleep(3.0)
print(len(came))
listener.close()
"""


def test_a_peer_that_hangs_up_while_its_frames_wait_does_no_harm() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS_UP_WHILE_FRAMES_WAIT], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100
