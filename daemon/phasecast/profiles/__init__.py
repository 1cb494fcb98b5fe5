"""Instrument profiles: schema, loading with readable errors, and lifting of older versions."""

from phasecast.profiles.instrument import Corrections, Detector, Geometry, PatternAxis
from phasecast.profiles.load import list_profiles, load_profile
from phasecast.profiles.scanning import FrameFiles, HeaderAxis, Join, Monitors, PositionAxis, Positions
from phasecast.profiles.schema import PhaseClass, Profile, profile_json_schema

__all__ = [
    "Corrections",
    "Detector",
    "FrameFiles",
    "Geometry",
    "HeaderAxis",
    "Join",
    "Monitors",
    "PatternAxis",
    "PhaseClass",
    "PositionAxis",
    "Positions",
    "Profile",
    "list_profiles",
    "load_profile",
    "profile_json_schema",
]
