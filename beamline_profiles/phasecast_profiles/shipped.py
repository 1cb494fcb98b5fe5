"""What ships: the TOML files beside this module."""

from pathlib import Path


def shipped_profiles() -> dict[str, Path]:
    """Name to file of every shipped profile, sorted by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}


def schema_path() -> Path:
    """File of the generated JSON schema of a profile."""
    return Path(__file__).parent / "profile.schema.json"
