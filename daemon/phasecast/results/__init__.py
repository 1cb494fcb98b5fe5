"""Result files as everyone reads them: layout, reader, repair, and the placing of points in a map."""

from phasecast.results.frame_store import FrameStores
from phasecast.results.reader import Result, open_result
from phasecast.results.repair import is_being_written, repair

__all__ = ["FrameStores", "Result", "is_being_written", "open_result", "repair"]
