"""The paragraph that can be pasted into the methods section of a paper."""

from phasecast.core.result import split_neighbours
from phasecast.core.words import LANGUAGES, Words, words
from phasecast.report.model import GeometryFact, Report, Setting

SIMULATION_ONLY = "simulation only"


def methods_paragraphs(report: Report) -> dict[str, str]:
    """Return the paragraph in every language; what the result does not say is called unknown."""
    return {language: _paragraph(report, words(language)) for language in LANGUAGES}


def arm_text(geometry: GeometryFact, say: Words) -> str:
    """Return where the arm was, or what says so of each frame."""
    if geometry.arm_fields:
        return say("report.arm_moves", fields=", ".join(geometry.arm_fields))
    return quantity(geometry.arm_tth_deg, "°", say)


def quantity(value: float | None, unit: str, say: Words, digits: int = 4) -> str:
    """Return a number with its unit, or the word for unknown."""
    return say("report.unknown") if value is None else f"{value:.{digits}g} {unit}".strip().replace(" °", "°")


def pair(values: tuple[float | None, float | None] | None, unit: str, say: Words) -> str:
    """Return two sizes as ``a × b unit``, or the word for unknown."""
    if values is None or None in values:
        return say("report.unknown")
    return " × ".join(f"{value:.4g}" for value in values) + f" {unit}"


def setting_text(setting: Setting, say: Words) -> str:
    """Return a correction as ``name: on (value)``."""
    state = say("report.unknown") if setting.on is None else say("report.on") if setting.on else say("report.off")
    value = f" ({setting.value})" if setting.value and setting.on else ""
    separator = "：" if say.language == "ja" else " "
    return f"{say(f'report.setting_{setting.id}')}{separator}{state}{value}"


def validation_text(calibrated_on: str, say: Words) -> str:
    """Return how the confidences were validated."""
    on, with_neighbours = split_neighbours(calibrated_on)
    if on.strip().lower() == SIMULATION_ONLY:
        text = say("report.methods_validated_simulation")
    else:
        text = say("report.methods_validated", what=on or say("report.unknown"))
    return say("common.with_neighbours", calibrated=text) if with_neighbours else text


def _paragraph(report: Report, say: Words) -> str:
    scan, geometry, unknown = report.scan, report.geometry, say("report.unknown")
    if scan.shape is not None and len(scan.shape) == 2 and scan.raster:
        points = say(
            "report.methods_points_raster",
            done=scan.points_done,
            points=scan.points,
            columns=scan.shape[1],
            rows=scan.shape[0],
        )
    else:
        points = say("report.methods_points_scattered", done=scan.points_done, points=scan.points)
    sentences = [
        say(
            "report.methods_measured",
            facility=scan.facility or scan.profile_title or unknown,
            energy=quantity(geometry.energy_kev, "keV", say),
            wavelength=quantity(geometry.wavelength_angstrom, "Å", say),
            beam=pair(scan.beam_um, "µm", say),
            points=points,
            step=pair((scan.x_step_um, scan.y_step_um), "µm", say),
            exposure=quantity(report.timing.exposure_s, "s", say),
            detector=geometry.detector or unknown,
        ),
        say(
            "report.methods_geometry",
            version=report.versions.get("phasecast", unknown),
            pyfai=report.versions.get("pyFAI", unknown),
            distance=quantity(geometry.distance_mm, "mm", say),
            arm=arm_text(geometry, say),
            origin=geometry.origin or unknown,
            residual=quantity(geometry.residual_deg, "°", say),
            bins=geometry.bins,
            low=f"{geometry.tth_min_deg:.2f}" if geometry.tth_min_deg is not None else unknown,
            high=f"{geometry.tth_max_deg:.2f}" if geometry.tth_max_deg is not None else unknown,
        ),
        say(
            "report.methods_corrections",
            list=("、" if say.language == "ja" else ", ").join(setting_text(one, say) for one in report.settings),
        ),
    ]
    if report.is_not_normalised:
        sentences.append(say("report.methods_not_normalised"))
    elif report.quality.has_normalised_patterns:
        sentences.append(say("report.methods_normalised"))
    if report.model is None:
        sentences.append(say("report.methods_no_model"))
    else:
        labels = say("report.methods_labels", count=report.labels_used) if report.labels_used else ""
        sentences.append(
            say(
                "report.methods_model",
                name=report.model.name,
                version=report.model.version,
                hash=report.model.sha256,
                threshold=report.threshold,
                labels=labels or say("report.methods_labels_none"),
                validation=validation_text(report.model.calibrated_on, say),
            )
        )
        others = sum(one.points for one in report.other_models)
        if others:
            sentences.append(say("report.methods_other_models", points=others, models=len(report.other_models)))
        sentences.append(say("report.methods_fractions"))
    if scan.simulated:
        sentences.append(say("report.methods_simulated"))
    return ("" if say.language == "ja" else " ").join(sentences)
