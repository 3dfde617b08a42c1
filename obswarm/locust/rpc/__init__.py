"""`locust.rpc`: messages of the load test's own."""

from obswarm.locust.rpc import zmqrpc as rpc
from obswarm.locust.rpc.protocol import Message

__all__ = ["Message", "rpc"]
