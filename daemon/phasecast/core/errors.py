"""Errors a person can act on: what happened, where, and what to do about it."""


class PhasecastError(Exception):
    """Base of all errors that phasecast raises on purpose.

    Parameters
    ----------
    what
        The fact, with the offending value.
    where
        File, field, frame or socket the fact was found at.
    remedy
        What the reader can do.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        line = f"{where}: {what}" if where else what
        super().__init__(f"{line} - {remedy}" if remedy else line)


class ProfileError(PhasecastError):
    """An instrument profile that cannot be used."""


class GeometryError(PhasecastError):
    """A detector geometry that is missing, unreadable or contradicts the profile."""


class CalibrationError(PhasecastError):
    """A frame of a standard from which no geometry can be had that is good enough."""


class FrameError(PhasecastError):
    """One raw frame that cannot be reduced; the scan goes on without it."""


class IncompleteFileError(FrameError):
    """A file that ends before its frame does: it is still being written, or was cut."""


class BundleMismatchError(PhasecastError):
    """A model bundle that does not fit the profile it is used with."""


class CaptureError(PhasecastError):
    """A capture that cannot be read or written."""


class ResultFileError(PhasecastError):
    """A result file that cannot be read, written or repaired."""


class CatalogError(PhasecastError):
    """A catalog that cannot be opened, or does not take or hold a run."""


class WireError(PhasecastError):
    """A message that cannot be decoded; it is counted and the stream goes on."""


class ScanRefusedError(PhasecastError):
    """A scan that this data directory does not take, such as one of another proposal."""


class SourceError(PhasecastError):
    """A source that cannot be opened, such as a missing folder or a malformed URI."""


class RequestError(PhasecastError, ValueError):
    """Something a person asked for that makes no sense; answered with its line, never more."""


class RecordsError(PhasecastError):
    """What people said that cannot be read or written down."""


class PageError(PhasecastError):
    """The live page cannot be offered as asked."""
