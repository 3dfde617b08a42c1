"""The embedded target, a small contest site with a database that is easily overwhelmed, and its load test."""
