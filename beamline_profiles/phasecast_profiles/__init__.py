"""Instrument profiles that ship with phasecast: one TOML file each."""
