"""HTTP clients through the whole path (task loop, events, statistics) against nginx, one core for each side."""
