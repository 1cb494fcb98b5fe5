"""The reliability diagram of a card as a picture for documents, by one command."""

import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w
from PIL import Image

from phasecast.core.errors import RecordsError
from phasecast.records.models import CARD
from phasecast.services.page_models import shipped_models
from phasecast.services.reliability_picture import described, draw_reliability

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "reliability-bl16xu-rust.svg"


def test_the_same_card_gives_the_same_svg_with_a_dot_for_every_group(tmp_path: Path) -> None:
    draw_reliability("bl16xu-rust", tmp_path / "a.svg")
    draw_reliability("bl16xu-rust", tmp_path / "b.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert "<text" not in text, "readers do not have our font"
    (shipped,) = shipped_models()
    assert shipped.sha256 in described(shipped)
    assert described(shipped) in text
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.svg", "b.svg"]


def test_the_picture_in_the_documentation_is_of_the_model_that_ships() -> None:
    (shipped,) = shipped_models()
    assert described(shipped) in PICTURE.read_text(encoding="utf-8"), (
        f"python -m phasecast.services.reliability_picture bl16xu-rust {PICTURE}"
    )


def test_before_and_after_stand_beside_each_other_in_japanese(tmp_path: Path) -> None:
    (shipped,) = shipped_models()
    folder = tmp_path / "taught"
    shutil.copytree(shipped.folder, folder)
    card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    lists = {"confidence": [0.01, 0.9], "frequency": [0.0, 1.0], "low": [0.0, 0.4], "high": [0.3, 1.0]}
    state = {name: {"ece": 0.02, "patterns": 9, "labels": 9, "reliability": lists} for name in ("labels", "simulation")}
    card["metrics"] = {"before": state, "after": state}
    (folder / CARD).write_text(tomli_w.dumps(card), encoding="utf-8")
    draw_reliability(str(folder), tmp_path / "two.png", language="ja")
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.width > 1.6 * picture.height
    card["metrics"] = {"ece": 0.01}
    del card["study"]
    (folder / CARD).write_text(tomli_w.dumps(card), encoding="utf-8")
    with pytest.raises(RecordsError, match="holds no reliability diagram"):
        draw_reliability(str(folder), tmp_path / "none.svg")


def test_what_cannot_be_drawn_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="not a readable bundle"):
        draw_reliability(str(tmp_path / "nothing"), tmp_path / "a.svg")
    with pytest.raises(RecordsError, match=r"cannot write \.gif"):
        draw_reliability("bl16xu-rust", tmp_path / "a.gif")
