"""Models on the shelf of a data directory, as a training leaves them."""

import shutil
import tomllib

import tomli_w

from phasecast.records.models import CARD
from phasecast.services.page_models import shipped_models

CLASSES = ("goethite", "ferrite")


def put_model(directory, version="1", *, owner="Sato group", before=0.5, after=0.9):
    """Put the shipped model on the shelf under another version, with the card of a training."""
    (shipped,) = shipped_models()
    folder = directory.models / f"{shipped.name}-{version}"
    shutil.copytree(shipped.folder, folder)
    card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    card |= {"version": version, "owner": owner, "calibrated_on": f"simulation and 40 labels of {owner}, 2 samples"}
    card["training"] = {
        "labels": 40,
        "measured": 8,
        "samples": {"A-3": 30, "B-1": 10},
        "measured_samples": ["B-1"],
        "held_out_by": "sample",
        "base": {"sha256": shipped.sha256},
    }
    card["metrics"] = {
        when: {
            "labels": {
                "labels": 8,
                "macro_f1": value,
                "macro_f1_low": value - 0.1,
                "macro_f1_high": value + 0.1,
                "ece": 0.1 * (1 - value),
                "reliability": {
                    "confidence": [0.0003, 0.02, 0.4, 0.97],
                    "frequency": [0.0, 0.05, 0.5, 1.0],
                    "low": [0.0, 0.01, 0.2, 0.8],
                    "high": [0.1, 0.2, 0.8, 1.0],
                },
                "classes": {
                    name: {"positive": 4, "f1": value, "f1_low": value - 0.2, "f1_high": value + 0.05}
                    for name in CLASSES
                },
            },
            "simulation": {"macro_f1": 0.85},
        }
        for when, value in (("before", before), ("after", after))
    }
    (folder / CARD).write_text(tomli_w.dumps(card), encoding="utf-8")
    return folder.name
