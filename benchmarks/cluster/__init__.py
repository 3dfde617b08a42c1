"""What a master costs, beside Locust's for the same work; and what a second worker brings."""
