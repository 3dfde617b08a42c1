"""`obswarm mcp`: tools for assistants, by the Model Context Protocol."""

import os
import sys
from importlib.util import find_spec

import click

from obswarm.api import ObswarmError
from obswarm.app.sources import check_url
from obswarm.cli.options import option
from obswarm.cli.run_options import store_option
from obswarm.json_text import to_json
from obswarm.web import PORT

_MODULE = "obswarm.web.mcp"


@click.command()
@option(
    "--url", default=f"http://127.0.0.1:{PORT}", show_default=True, metavar="URL", help="Server whose run is watched."
)
@option("--token-file", metavar="FILE", help="File with the server's bearer token.")
@option("--allow-run", is_flag=True, help="Let the assistant start and stop runs of the server.")
@store_option
def mcp(url: str, token_file: str | None, allow_run: bool, store: str | None) -> None:
    """Serve tools for assistants by the Model Context Protocol.

    The tools list, explain and compare stored runs, and watch the run of a server (`obswarm run --web`). The protocol
    is spoken on standard input and output, so that an assistant's program starts this command.
    """
    check_url("--url", url)
    if find_spec("mcp") is None:
        raise ObswarmError("obswarm mcp needs the SDK of the Model Context Protocol: pip install 'obswarm[mcp]'.")
    settings = {"url": url, "token_file": token_file, "store": store, "allow_run": allow_run}
    # A new process image, without gevent's patches: the SDK needs threads and asyncio as they are.
    os.execv(sys.executable, [sys.executable, "-m", _MODULE, to_json(settings, compact=True)])
