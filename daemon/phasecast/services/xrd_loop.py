"""From records to results: what the live service and a replay share, wherever their records come from."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.protocols import Stage
from phasecast.core.record import CapturePosition, Channel, Decoder
from phasecast.pipeline.desk import ScanDesk
from phasecast.pipeline.open_scan import DeskRules
from phasecast.pipeline.runner import RecordReader, Runner
from phasecast.profiles import Profile
from phasecast.services.declared import DeclaredScan, directed_decoder
from phasecast.services.declaring import DeclaredProfiles, Latest, read_latest, replay_start
from phasecast.services.derived_runs import DerivedRuns
from phasecast.services.event_angles import EventAngles
from phasecast.services.placing import fold_rules
from phasecast.services.sample_sources import SampleSources
from phasecast.sources.declared_scan import ScanDirector
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.sources.scan_switch import ScanSwitch
from phasecast.sources.uri import SourceOptions
from phasecast.xrd.stages import XrdStage

_GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What shapes the results of a loop.

    Parameters
    ----------
    profile
        The instrument, fitted to the declaration if there is one.
    declared
        The scan that the command line declares; None if there is none.
    wires
        How records are decoded.
    sources
        What the results say they were made from.
    declares_on_page
        Whether scans may be declared by records of the capture.
    close_after_idle_s, expected_points
        See `DeskRules`.
    only
        Raw uid of the one scan that is wanted; empty for all.
    """

    profile: Profile
    declared: DeclaredScan | None
    wires: SourceOptions
    sources: tuple[str, ...]
    declares_on_page: bool
    close_after_idle_s: float = 900.0
    expected_points: int | None = None
    only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class XrdLoop:
    """Scans, results and decoders, ready for a reader of records.

    Parameters
    ----------
    runs, desk
        Results and scans.
    profiles
        Fit declarations of the page to the instrument.
    switch
        Knows what the page declared; None where it may not.
    latest
        The newest declaration that an earlier process took.
    replay_from
        First record that unfinished results need; None if there are none.
    committed
        Frames whose outcome they hold.
    decoder_for
        Makes the decoder of a channel.
    """

    runs: DerivedRuns
    desk: ScanDesk
    profiles: DeclaredProfiles
    switch: ScanSwitch | None
    latest: Latest | None
    replay_from: CapturePosition | None
    committed: frozenset[tuple[str, int]]
    decoder_for: Callable[[Channel], Decoder]

    def runner(
        self,
        reader: RecordReader,
        *,
        stage: Stage,
        clock: Callable[[], float],
        max_records: int = 64,
        background: Executor | None = None,
    ) -> Runner:
        """Return the loop over a reader's records; see `Runner`."""
        return Runner(
            reader=reader,
            decoder_for=self.decoder_for,
            stage=stage,
            desk=self.desk,
            clock=clock,
            max_records=max_records,
            committed=self.committed,
            background=background,
        )


def build_loop(
    options: LoopOptions,
    *,
    directory: DataDirectory,
    stage: XrdStage,
    on_finished: Callable[[Path], None],
    samples: SampleSources | None = None,
    file_roots: Sequence[Path] = (),
) -> XrdLoop:
    """Look for what an earlier process left in a data directory and return the loop that goes on there.

    Parameters
    ----------
    options
        What shapes the results.
    directory
        Where results are written and captures lie.
    stage
        Reduces frames, and frames again whose arm angle only an event states.
    on_finished
        Called with each result that was closed.
    samples
        What else is known of samples; None: nothing, and every scan is taken.
    file_roots
        Folders below which frame files may lie now.
    """
    profile, declared = options.profile, options.declared
    profiles = DeclaredProfiles(profile)
    runs = DerivedRuns(
        folder=directory.results,
        profile=profile,
        stage=stage,
        on_finished=on_finished,
        settings={"sources": list(options.sources)},
        samples=samples,
        profile_for=profiles.profile_for,
    )
    replay_from, committed = runs.recover()
    latest = read_latest(directory)
    replay_from = replay_start(latest, runs.finished_uids, replay_from)
    director: ScanDirector | ScanSwitch | None = None
    switch: ScanSwitch | None = None
    wires = replace(options.wires, file_roots=(*options.wires.file_roots, *file_roots))
    if declared is not None:
        director = declared.director(runs.unfinished_headers, runs.finished_uids)
    elif options.declares_on_page:
        director = switch = ScanSwitch(
            profiles.taker(lambda: runs.finished_uids),
            others_pass=profile.frame_files.position_from != "documents",
            earlier=latest is not None,
        )
        wires = replace(wires, log_decoder=switch.log_decoder)
    store = CaptureFrameStore(directory.captures, file_roots, options=wires)
    desk = ScanDesk(
        fold_rules=replace(fold_rules(profile), with_event=EventAngles(stage=stage, read=store.read)),
        desk_rules=DeskRules(
            idle_s=options.close_after_idle_s,
            expected_points=options.expected_points,
            grace_s=declared.grace_s if declared is not None else _GRACE_S,
        ),
        open_run=lambda start, position: None if options.only not in ("", start.uid) else runs.open(start, position),
        rules_for=profiles.rules_for,
    )
    return XrdLoop(
        runs=runs,
        desk=desk,
        profiles=profiles,
        switch=switch,
        latest=latest,
        replay_from=replay_from,
        committed=committed,
        decoder_for=lambda channel: directed_decoder(channel, wires, director),
    )
