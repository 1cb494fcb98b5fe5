"""What the page gets of models: none of it loads a network library."""

from importlib import resources
from pathlib import Path

from phasecast.records.models import CARD, ShelfModel, read_model
from phasecast.web.model_tools import ModelTools


def model_tools() -> ModelTools:
    """Return the functions that the page calls."""
    return ModelTools(shipped=shipped_models)


def shipped_models() -> list[ShelfModel]:
    """Return the models that come with the program, without loading any."""
    folder = Path(str(resources.files("phasecast_models.xrd").joinpath("bundles")))
    return [read_model(path) for path in sorted(folder.iterdir()) if (path / CARD).is_file()]
