"""The demo: a small contest site with a database that is easily overloaded, and its load test."""
