"""phasecast: from an instrument's live stream to a scientific answer while the experiment is still running."""

__version__ = "0.1.0"
