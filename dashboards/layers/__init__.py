"""The layers that a request passes, each as a section of panels."""
