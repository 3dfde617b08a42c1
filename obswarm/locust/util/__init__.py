"""`locust.util`."""
