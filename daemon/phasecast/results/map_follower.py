"""Follows several results that are one map, while one of them grows."""

from collections.abc import Sequence
from pathlib import Path

from phasecast.core.errors import ResultFileError
from phasecast.results.access import was_left_growing
from phasecast.results.composed_map import ComposedMap, open_map
from phasecast.results.follow import ResultFollower
from phasecast.results.lock import is_being_written


class MapFollower(ResultFollower):
    """Follows the scans of one map; rows are those of `ComposedMap`, and superseded ones show nothing.

    Parameters
    ----------
    paths
        Result files in any order, at least two.

    Raises
    ------
    ResultFileError
        If one cannot be opened, or they are no parts of one map.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        super().__init__(self.paths[-1])

    @property
    def composed(self) -> ComposedMap:
        """The scans as one result."""
        assert isinstance(self.result, ComposedMap)
        return self.result

    def _open_result(self) -> ComposedMap:
        opened = open_map(self.paths)
        if not isinstance(opened, ComposedMap):
            opened.close()
            raise ResultFileError("one scan is no map", where=str(self.path), remedy="choose the scan itself")
        return opened

    def _file_identity(self) -> tuple[tuple[int, bool, bool], ...]:
        # a scan whose writer died lies still, but its pending points are no longer awaited
        return tuple(self._identity_of(path) for path in self.paths)

    def _identity_of(self, path: Path) -> tuple[int, bool, bool]:
        try:
            grows = was_left_growing(path)
            return path.stat().st_ino, grows, grows and is_being_written(path)
        except OSError as error:
            raise ResultFileError(
                f"is gone: {error.strerror}", where=str(path), remedy="was it moved, or is its disk away?"
            ) from error
