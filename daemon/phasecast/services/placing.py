"""From what a profile declares to what the fold needs."""

import math
from collections.abc import Callable, Mapping, Sequence

from phasecast.pipeline.fold_rules import FoldRules
from phasecast.pipeline.join import JoinRule
from phasecast.profiles import Profile
from phasecast.profiles.orientation import StageFrame
from phasecast.services.metal import needs_transmission
from phasecast.services.monitors import beam_rules, scalar_fields
from phasecast.sources.document_options import DocumentOptions
from phasecast.sources.document_roots import DocumentRoot
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.uri import SourceOptions


def fold_rules(profile: Profile) -> FoldRules:
    """Return the rules of a profile for joining frames and points."""
    return FoldRules(
        join=JoinRule(
            use_keys=bool({"counter", "datum"} & set(profile.join.key)),
            align=profile.join.align,
            skip_frames_per_row=profile.join.skip_frames_per_row,
        ),
        place=place_by(profile),
        scalar_fields=scalar_fields(profile),
        beam=beam_rules(profile),
        frames_place_themselves=profile.frame_files.position_from != "documents",
        scores_need_transmission=needs_transmission(profile),
    )


def source_options(profile: Profile) -> SourceOptions:
    """Return what a profile says of its wires."""
    files = profile.frame_files
    axes = {"x": files.header_horizontal, "y": files.header_vertical}
    return SourceOptions(
        counter_field=profile.join.counter_field,
        position_fields={name: axis.field for name, axis in axes.items() if axis is not None},
        um_per_number={name: axis.factor_to_um for name, axis in axes.items() if axis and axis.factor_to_um},
        position_in_sidecar=files.position_from == "sidecar",
        dataset=files.hdf5_dataset,
        file_patterns=files.patterns,
        number_pattern=files.number_regex,
        raw_shape=_raw_shape(profile),
        image_channel=profile.detector.image_channel or "",
        number_fields=tuple(axis.field for axis in profile.geometry.arm),
        monitor_fields=tuple(scalar_fields(profile).values()),
        sidecar=files.sidecar,
        read_budget=ReadBudget(files.max_read_mb_per_s * 1e6),
        copy_frames=files.copy_frames,
        documents=DocumentOptions(
            stage_fields=stage_fields(profile),
            image_field=profile.documents.image_field,
            roots=tuple(map(DocumentRoot.parse, profile.documents.roots)),
        ),
    )


def with_roots(profile: Profile, roots: Sequence[str]) -> Profile:
    """Return the profile with further folders in which files that documents name may be read."""
    if not roots:
        return profile
    documents = profile.documents.model_copy(update={"roots": (*profile.documents.roots, *roots)})
    return profile.model_copy(update={"documents": documents})


def stage_fields(profile: Profile) -> tuple[str, ...]:
    """Return the event fields of the sample's coordinates; empty where the profile names none."""
    positions = profile.positions
    return (positions.horizontal.field, positions.vertical.field) if positions is not None else ()


def _raw_shape(profile: Profile) -> tuple[int, int] | None:
    """Return (rows, cols) of frames that are bare pixels; None where a profile has none, which spares pyFAI."""
    if not any(pattern.lower().removesuffix(".gz").endswith(".raw") for pattern in profile.frame_files.patterns):
        return None
    from phasecast.xrd.geometry import known_detector

    return known_detector(profile)[0]


def place_by(profile: Profile) -> Callable[[Mapping[str, float]], tuple[float, float]]:
    """Return the map from measured motor positions to sample coordinates (x_um, y_um), y up."""
    files = profile.frame_files
    if files.position_from in ("header", "sidecar") and files.header_horizontal and files.header_vertical:
        x_sign, y_sign = files.header_horizontal.sign, files.header_vertical.sign
        if files.header_view == "upstream":
            x_sign = -x_sign
        return lambda position: (x_sign * position.get("x", math.nan), y_sign * position.get("y", math.nan))
    if profile.positions is None:
        return lambda position: (math.nan, math.nan)
    return StageFrame.of(profile.positions).to_sample
