"""Measurements, side by side in one run. What they print are ratios; nothing here passes or fails."""
