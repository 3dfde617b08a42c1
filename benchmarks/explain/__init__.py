"""What an explanation of a run with many metrics costs."""
