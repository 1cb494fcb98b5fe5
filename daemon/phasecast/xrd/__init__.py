"""Diffraction: from raw frames to patterns and phases."""
