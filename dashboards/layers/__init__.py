"""The layers that a request meets, each as a section of graphs."""
