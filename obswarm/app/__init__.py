"""Composition: a run from its RunConfig; the service that makes runs for clients; a client of one."""
