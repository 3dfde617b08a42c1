"""What a run's figures mean: where the knee is. Pure functions of measurements."""

from obswarm.analysis.knee import Knee, LoadPoint, find_knee

__all__ = ["Knee", "LoadPoint", "find_knee"]
