"""What it costs to keep a run."""
