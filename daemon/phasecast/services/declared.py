"""From the declaration of a scan to what the live service needs."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from phasecast.core.errors import ProfileError, SourceError
from phasecast.core.record import Channel, Decoder
from phasecast.core.result import ResultHeader
from phasecast.core.scan import ScanUid
from phasecast.profiles import PositionAxis, Positions, Profile, ScanDeclaration, load_scan
from phasecast.services.monitors import scalar_fields
from phasecast.sources.declared_scan import (
    DECLARED_KEY,
    FIRST_ROW_KEY,
    ScanDirector,
)
from phasecast.sources.declared_wires import DirectedDecoder, StageFields
from phasecast.sources.scan_switch import ScanSwitch
from phasecast.sources.uri import SourceOptions, make_decoder

_STAGE = Positions(
    horizontal=PositionAxis(field="stage_x", factor_to_um=1.0), vertical=PositionAxis(field="stage_y", factor_to_um=1.0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredScan:
    """A declaration, and the instrument as it serves for it.

    Parameters
    ----------
    declaration
        With the log that is read.
    profile
        The profile whose points come from the declaration.
    grace_s
        How long frames and rows may lag behind each other at the end, s.
    """

    declaration: ScanDeclaration
    profile: Profile
    grace_s: float

    def sources(self, uris: tuple[str, ...]) -> tuple[str, ...]:
        """Return the sources, with the log of the declaration if none of them is a log.

        Raises
        ------
        SourceError
            If positions come from a log and nothing names it.
        """
        frames = tuple(uri for uri in uris if not uri.startswith("bluesky:"))
        log = self.declaration.log
        if self.declaration.positions_from != "log" or log is None or any(uri.startswith("log:") for uri in frames):
            return frames
        if log.path is None:
            raise SourceError(
                "positions come from a log, and nothing names its file",
                where="scan declaration: log.path",
                remedy="write path = '...' there, or give --source log:///path",
            )
        return (*frames, f"log://{quote(log.path)}")

    def wires(self, options: SourceOptions) -> SourceOptions:
        """Return the options of the wires, with the log's."""
        return replace(options, log=self.declaration.log, point_s=self.declaration.exposure_s)

    def director(
        self,
        unfinished: Mapping[str, ResultHeader],
        finished: Collection[str] = (),
        *,
        uid: ScanUid | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> ScanDirector:
        """Return the director of a service that takes up unfinished results again.

        Parameters
        ----------
        unfinished
            Raw uid to header.
        finished
            Raw uids of results that are finished.
        uid, notes
            See `ScanDirector`.
        """
        first_rows = {
            uid: int(header.metadata[DECLARED_KEY][FIRST_ROW_KEY])
            for uid, header in unfinished.items()
            if DECLARED_KEY in header.metadata
        }
        return ScanDirector(
            self.declaration,
            stage_fields(self.profile),
            first_rows=first_rows,
            finished=finished,
            number_pattern=re.compile(self.profile.frame_files.number_regex),
            uid=uid,
            notes=notes,
        )


def declare(profile: Profile, path: Path) -> DeclaredScan:
    """Read a declaration and fit a profile to it.

    Raises
    ------
    ProfileError
        If it cannot be read or breaks a rule.
    """
    return fit(profile, load_scan(path).with_log(profile.position_log, path.absolute().parent), path)


def fit(profile: Profile, declaration: ScanDeclaration, path: Path) -> DeclaredScan:
    """Fit a profile to a declaration; `path` is where messages say it stands.

    Raises
    ------
    ProfileError
        If the two do not go together.
    """
    log = declaration.log if declaration.positions_from == "log" else None
    if declaration.positions == "log" and log is None:
        raise ProfileError("positions = 'log' needs [log]", where=f"{path}: log", remedy="say how the log is read")
    needed = declaration.row_points + declaration.lead_in_frames_per_row
    if log is not None and log.joins_by in ("order", "time") and declaration.row_frames != needed:
        raise ProfileError(
            f"{declaration.row_frames - needed} frames at the end of a row belong to no point, no column names frames",
            where=f"{path}: frames_per_row",
            remedy="name the log's column with file or number",
        )
    join = profile.join.model_copy(
        update={
            "key": ("counter", "datum", "time", "order"),
            "align": "time" if log is not None and log.joins_by == "time" else "order",
            "skip_frames_per_row": declaration.lead_in_frames_per_row,
        }
    )
    files = profile.frame_files.model_copy(update={"position_from": "documents"})
    fitted = profile.model_copy(
        update={"join": join, "frame_files": files, "positions": profile.positions or _STAGE, "sources": ()}
    )
    return DeclaredScan(declaration=declaration, profile=fitted, grace_s=log.patience_s if log is not None else 2.0)


def stage_fields(profile: Profile) -> StageFields:
    """Return how a profile calls the axes of the stage."""
    positions = profile.positions or _STAGE
    horizontal, vertical = positions.horizontal, positions.vertical
    return StageFields(
        x=horizontal.field,
        y=vertical.field,
        x_um=horizontal.factor_to_um,
        y_um=vertical.factor_to_um,
        scalars=scalar_fields(profile),
    )


def directed_decoder(channel: Channel, wires: SourceOptions, director: ScanDirector | ScanSwitch | None) -> Decoder:
    """Return the decoder of a channel, directed where a scan is declared."""
    decoder = make_decoder(channel, wires)
    return decoder if director is None else DirectedDecoder(decoder, director.direct)
