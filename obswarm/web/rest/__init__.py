"""REST API of a run: its documents, operations, OpenAPI document and server-sent events. docs/rest-api.md describes it.

Only processes that serve the page import this package: it needs msgspec, and its application Flask.
"""
