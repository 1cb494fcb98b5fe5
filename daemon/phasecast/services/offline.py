"""Single files: frames to patterns, frames or patterns to phases."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError, PhasecastError, ProfileError
from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.protocols import Reduced, Rejection
from phasecast.profiles import Profile, load_profile
from phasecast.services.xrd_stage import build_stage
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.frame_sidecar import read_sidecar, sidecar_path, stated_numbers
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.patterns import bin_centres_deg
from phasecast.xrd.stages import NO_PATTERN, XrdStage
from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.measured import MeasuredPatternError, convert_axis, load_pattern, rebin
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM

_PATTERN_SUFFIXES = (".xy", ".csv", ".dat", ".txt", ".chi", ".xye")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one file.

    Parameters
    ----------
    path
        The file.
    error
        Why it could not be used; empty if it could.
    values
        What was found, JSON-able.
    summary
        The same in one line for people.
    """

    path: Path
    error: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    summary: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.path}: {self.error or self.summary}" if not self.error.startswith(str(self.path)) else self.error

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {"file": str(self.path), "error": self.error or None, **self.values}


def integrate_files(
    paths: Sequence[Path], *, profile: str, output: Path | None, poni: Path | None, device: str
) -> list[FileReport]:
    """Integrate frames into `.xy` files, one report a frame; a bad frame does not stop the others.

    Raises
    ------
    PhasecastError
        If profile, geometry or output folder cannot be used.
    """
    loaded = load_profile(profile)
    stage = build_stage(loaded, device=device, poni=poni, classify=False)
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhasecastError(
                f"cannot make the folder ({error.strerror})", where=str(output), remedy="choose another with -o"
            ) from error
    return [_integrate_file(path, stage, loaded, output) for path in paths]


def _integrate_file(path: Path, stage: XrdStage, profile: Profile, output: Path | None) -> FileReport:
    integrator = stage.integrator
    try:
        frame = _read(path, profile, integrator.geometry.shape)
        columns = _reduced(path, frame, stage).columns
    except FrameError as error:
        return FileReport(path=path, error=str(error))
    target = (output or path.parent) / f"{path.name.split('.')[0]}.xy"
    header = (
        f"2theta_deg intensity sigma\nfrom {path.name}, {stage.geometry_of(frame).origin}, "
        f"{integrator.axes[0].bins} bins, device {integrator.device}"
    )
    tth_deg = bin_centres_deg(integrator.axes[0])
    table = np.column_stack([tth_deg, columns["intensity"], columns["sigma"]])
    np.savetxt(target, table, fmt=("%.5f", "%.7g", "%.7g"), header=header)
    strongest = float(tth_deg[int(np.argmax(columns["intensity"]))])
    counts, masked = int(columns["total_counts"]), int(columns["masked_pixels"])
    return FileReport(
        path=path,
        values={"output": str(target), "total_counts": counts, "masked_pixels": masked, "strongest_tth_deg": strongest},
        summary=f"{counts} counts, strongest at {strongest:.2f} deg, {masked} pixels masked -> {target}",
    )


def classify_files(
    paths: Sequence[Path],
    *,
    profile: str,
    model: str | None,
    wavelength_angstrom: float | None,
    poni: Path | None,
    device: str,
) -> list[FileReport]:
    """Classify frames or patterns, one report a file; a bad file does not stop the others.

    Raises
    ------
    PhasecastError
        If profile, geometry or bundle cannot be used.
    """
    loaded = load_profile(profile)
    classifier = Classifier.from_profile(loaded, model)
    if classifier is None:
        raise ProfileError("the profile names no bundle", where=loaded.name, remedy="choose one with --model")
    frames = [path for path in paths if path.suffix.lower() not in _PATTERN_SUFFIXES]
    integrator = Integrator.from_profile(loaded, axes=(classifier.axis,), poni=poni) if frames else None
    stage = XrdStage(integrator, classifier) if integrator is not None else None
    wavelength = wavelength_angstrom or HC_KEV_ANGSTROM / loaded.energy_kev
    return [_classify_file(path, classifier, stage if path in frames else None, loaded, wavelength) for path in paths]


def _classify_file(
    path: Path, classifier: Classifier, stage: XrdStage | None, profile: Profile, wavelength_angstrom: float
) -> FileReport:
    try:
        if stage is not None:
            reduced = _reduced(path, _read(path, profile, stage.integrator.geometry.shape), stage)
            if reduced.note:
                return FileReport(path=path, error=f"not classified: {reduced.note}")
            confidences = reduced.columns["confidences"]
        else:
            intensity, sigma = _load_on_axis(path, classifier.bundle.axis, wavelength_angstrom)
            confidences = classifier.bundle.confidences(intensity, classifier.bundle.axis.tth_deg, sigma=sigma)[0]
    except (PhasecastError, ValueError, OSError) as error:
        return FileReport(path=path, error=str(error))
    if np.isnan(confidences).all():
        return FileReport(path=path, error=f"{NO_PATTERN}: no count, or an infinite one, in the range of the model")
    scores = {phase.id: round(float(value), 4) for phase, value in zip(classifier.classes, confidences, strict=True)}
    ranked = sorted(scores.items(), key=lambda entry: -entry[1])
    named = [f"{name} {value:.2f}" for name, value in ranked if value >= 0.5]
    leading = f"nothing at 0.5; leading {ranked[0][0]} {ranked[0][1]:.2f}"
    note = f"({classifier.stamp.calibrated_on})"
    return FileReport(
        path=path,
        values={"confidences": scores, "model": classifier.stamp.name, "calibrated_on": classifier.stamp.calibrated_on},
        summary=f"{', '.join(named) or leading} {note}",
    )


def _load_on_axis(
    path: Path, axis: PatternAxis, wavelength_angstrom: float
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return intensity per bin of the model's axis and, where the file has a third column, its sigma.

    Without sigma the intensities are taken as counts and added up; with it they are averaged.
    """
    tth_deg, intensity = load_pattern(path)
    if _column(path, 3) is not None:
        raise MeasuredPatternError(
            f"{path}: more than three columns - keep the angle, one intensity and at most its sigma"
        )
    converted_deg = convert_axis(tth_deg, wavelength_angstrom, axis.energy_kev)
    sigma = _column(path, 2)
    if sigma is None:
        return rebin(converted_deg, intensity, axis), None
    if np.any(sigma < 0) or not np.any(sigma > 0):
        raise MeasuredPatternError(f"{path}: the third column is no sigma - remove it if the second holds counts")
    samples = rebin(converted_deg, np.ones_like(intensity), axis)
    mean = rebin(converted_deg, intensity, axis) / samples
    return mean, np.sqrt(rebin(converted_deg, sigma**2, axis)) / samples


def _column(path: Path, column: int) -> NDArray[np.float64] | None:
    try:
        return load_pattern(path, column=column)[1]
    except MeasuredPatternError:
        return None


def _read(path: Path, profile: Profile, shape: tuple[int, int]) -> Frame:
    """Return the frame of a file, with the numbers that it and its sidecar state."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise FrameError(f"cannot be read ({error.strerror})", where=str(path)) from error
    content = read_frame_file(path.name, encoded, raw_shape=shape)
    template = profile.frame_files.sidecar
    beside = read_sidecar(sidecar_path(path, template)) if template is not None else b""
    fields = [axis.field for axis in profile.geometry.arm]
    return Frame(
        frame_id=FrameId(path.name),
        series="",
        number=0,
        image=content.image,
        keys=(),
        received_s=0.0,
        scalars=stated_numbers(content.header, beside, fields, where=str(path)),
        reference=FrameReference(store="file", path=str(path), offset=0, number=0),
    )


def _reduced(path: Path, frame: Frame, stage: XrdStage) -> Reduced:
    (outcome,) = stage.process([frame])
    if isinstance(outcome, Rejection):
        raise FrameError(outcome.detail, where=str(path))
    return outcome
