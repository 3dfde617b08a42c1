"""The worker's side of a cluster: the connection to the master, the users of one process, and relays of several."""
