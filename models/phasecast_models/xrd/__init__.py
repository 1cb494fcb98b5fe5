"""Powder diffraction: structures, simulated patterns, networks, calibration, model bundles."""
