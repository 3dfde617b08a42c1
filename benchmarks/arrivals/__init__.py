"""How exactly iterations start at their times, and what a server that stalls looks like in the two workload models."""
