"""Instrument profiles: schema, loading with readable errors, and lifting of older versions."""

from phasecast.profiles.classification import Classification, PhaseClass
from phasecast.profiles.instrument import ArmAxis, Corrections, Detector, EmptyFrame, Geometry, PatternAxis
from phasecast.profiles.load import list_profiles, load_profile, load_scan, parse_scan
from phasecast.profiles.monitors import Monitors, NamedMonitor
from phasecast.profiles.scan_declaration import LogAxis, PositionLog, ScanDeclaration, time_zone
from phasecast.profiles.scanning import FrameFiles, HeaderAxis, Join, PositionAxis, Positions
from phasecast.profiles.schema import Profile, profile_json_schema

__all__ = [
    "ArmAxis",
    "Classification",
    "Corrections",
    "Detector",
    "EmptyFrame",
    "FrameFiles",
    "Geometry",
    "HeaderAxis",
    "Join",
    "LogAxis",
    "Monitors",
    "NamedMonitor",
    "PatternAxis",
    "PhaseClass",
    "PositionAxis",
    "PositionLog",
    "Positions",
    "Profile",
    "ScanDeclaration",
    "list_profiles",
    "load_profile",
    "load_scan",
    "parse_scan",
    "profile_json_schema",
    "time_zone",
]
