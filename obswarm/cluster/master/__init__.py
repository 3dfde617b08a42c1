"""The master's side of a cluster: its workers, their users, and their reports."""
