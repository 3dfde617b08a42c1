"""What open pages cost a run."""
