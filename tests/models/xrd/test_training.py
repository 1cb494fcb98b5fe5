"""Training is one reproducible command."""

import subprocess
import sys
from pathlib import Path

from phasecast_models.xrd.bundle import load_bundle
from phasecast_models.xrd.training import TrainingPlan, train


def test_same_seed_same_weights(tmp_path: Path) -> None:
    plan = TrainingPlan(seed=3, epochs=2, patterns_per_epoch=1024, held_out=512, threads=1)
    lines: list[str] = []
    first = train(tmp_path / "first", plan, name="tiny", progress=lines.append)
    second = train(tmp_path / "second", plan, name="tiny", progress=lines.append)
    assert first.sha256 == second.sha256
    assert (tmp_path / "first/model.toml").read_bytes() == (tmp_path / "second/model.toml").read_bytes()
    assert any("macro_f1" in line for line in lines)


def test_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "phasecast_models.xrd.training", "--help"], capture_output=True, text=True, check=True
    )
    assert "--seed" in done.stdout
    training = load_bundle("bl16xu-rust").card["training"]
    assert isinstance(training, dict)
    assert training["command"].startswith("python -m phasecast_models.xrd.training")
