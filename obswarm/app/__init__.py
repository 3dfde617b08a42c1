"""Composition root: builds a run from its RunConfig; the service mode of a master, and its client."""
