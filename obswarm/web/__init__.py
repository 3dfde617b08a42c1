"""What a run serves over HTTP."""

from obswarm.web.server import PORT, WebServer

__all__ = ["PORT", "WebServer"]
