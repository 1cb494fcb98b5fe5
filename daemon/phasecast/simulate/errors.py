"""Errors of the simulated beamline."""

from phasecast.core.errors import PhasecastError


class SimulationError(PhasecastError):
    """A simulation that cannot run as asked, such as a port in use or a consumer that never came."""
