"""How well a map agrees with the truth its simulator wrote."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.results import Result, open_result

OXIDES = ("magnetite", "goethite", "lepidocrocite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of one class with the truth.

    Parameters
    ----------
    class_id
        The class.
    points
        Points where it is true.
    precision, recall, f1
        At the threshold; NaN where the class neither occurs nor was named.
    """

    class_id: str
    points: int
    precision: float
    recall: float
    f1: float


def compare_with_truth(result_path: Path, truth_path: Path, *, threshold: float = 0.5) -> list[Agreement]:
    """Compare the confidences of a closed result with a truth file, over the points that are done.

    Parameters
    ----------
    result_path
        Result of a gridded scan.
    truth_path
        What the simulator wrote with ``--truth``.
    threshold
        Confidence from which a class counts as named.

    Raises
    ------
    PhasecastError
        If the two do not describe the same grid.
    """
    with open_result(result_path) as result:
        return agreements_of(result, truth_path, threshold=threshold)


def agreements_of(result: Result, truth_path: Path, *, threshold: float = 0.5) -> list[Agreement]:
    """Compare an open result, or several as one map, with a truth file, as `compare_with_truth` does.

    Raises
    ------
    PhasecastError
        If the two do not describe the same sample.
    """
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    labels = np.array(truth["truth"], bool)
    truth_places = np.column_stack([truth["x_um"], truth["y_um"]])
    done = np.asarray(result.done)
    confidences = np.asarray(result.confidences)[done]
    ids = [phase.id for phase in result.header.classes]
    places = np.column_stack([np.asarray(result.positions["x_um"]), np.asarray(result.positions["y_um"])])[done]
    distances, rows = _nearest(truth_places, places)
    step_um = float(np.min(np.diff(np.unique(truth_places[:, 0])))) if len(truth_places) > 1 else 1.0
    if ids != truth["classes"] or (len(distances) and float(np.max(distances)) > step_um / 2):
        raise PhasecastError(
            "result and truth do not describe the same map", where=str(truth_path), remedy="name the truth of this scan"
        )
    named, true = confidences >= threshold, labels[rows]
    return [_agreement(class_id, named[:, k], true[:, k]) for k, class_id in enumerate(ids)]


def mean_oxide_f1(agreements: list[Agreement]) -> float:
    """Mean F1 of the three oxides."""
    return float(np.nanmean([entry.f1 for entry in agreements if entry.class_id in OXIDES]))


def _nearest(targets: NDArray[np.float64], places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    from scipy.spatial import cKDTree

    distances, rows = cKDTree(targets).query(places)
    return distances, rows


def _agreement(class_id: str, named: NDArray[np.bool_], true: NDArray[np.bool_]) -> Agreement:
    hits, claims, points = int(np.sum(named & true)), int(np.sum(named)), int(np.sum(true))
    f1 = 2 * hits / (claims + points) if claims + points else float("nan")
    return Agreement(
        class_id=class_id,
        points=points,
        precision=hits / claims if claims else float("nan"),
        recall=hits / points if points else float("nan"),
        f1=f1,
    )
