"""A beamline that does not exist but speaks the real protocols.

Started as a process of its own by the command line and by tests; the runtime never imports it.
"""

from phasecast.simulate.beamline import run_beamline
from phasecast.simulate.faults import Faults, parse_faults
from phasecast.simulate.frames import FrameRenderer, simulate_map
from phasecast.simulate.options import BeamlineOptions, Summary
from phasecast.simulate.sample import Sample, rust_sample
from phasecast.simulate.truth import Truth, read_truth

__all__ = [
    "BeamlineOptions",
    "Faults",
    "FrameRenderer",
    "Sample",
    "Summary",
    "Truth",
    "parse_faults",
    "read_truth",
    "run_beamline",
    "rust_sample",
    "simulate_map",
]
