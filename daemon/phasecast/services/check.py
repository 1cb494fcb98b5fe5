"""Is this file what it should be, and if not, exactly why."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phasecast.core.errors import PhasecastError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about one file.

    Parameters
    ----------
    path
        The file or folder.
    kind
        ``profile``, ``result``, ``capture``, ``bundle`` or ``unknown``.
    valid
        Whether it can be used.
    detail
        What it holds, or why it cannot be used.
    """

    path: Path
    kind: str
    valid: bool
    detail: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{'valid' if self.valid else 'INVALID'} {self.kind} {self.path}: {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {**asdict(self), "path": str(self.path)}


def check_file(path: Path) -> Verdict:
    """Return the verdict on a profile, a result, a capture or a bundle; never raises for a bad file."""
    kind, examine = _examiner(path)
    if not path.exists():
        return Verdict(path=path, kind=kind, valid=False, detail="no such file")
    try:
        return Verdict(path=path, kind=kind, valid=True, detail=examine(path))
    except (PhasecastError, ValueError, OSError) as error:
        return Verdict(path=path, kind=kind, valid=False, detail=str(error).removeprefix(f"{path}: "))


def _examiner(path: Path) -> tuple[str, Callable[[Path], str]]:
    if path.suffix == ".nxs":
        return "result", _result
    if path.is_dir() and (path / "model.toml").exists():
        return "bundle", _bundle
    if path.suffix == ".cborseq" or path.is_dir():
        return "capture", _capture
    if path.suffix == ".toml":
        return ("bundle", lambda file: _bundle(file.parent)) if path.name == "model.toml" else ("profile", _profile)
    return "unknown", _unknown


def _profile(path: Path) -> str:
    from phasecast.profiles import load_profile

    profile = load_profile(str(path))
    said = f"{profile.name}, {profile.title}"
    if not profile.classification.others and not any(item.structures for item in profile.classes):
        return said
    from phasecast.xrd.task import task_of_profile

    doubts: list[str] = []
    task = task_of_profile(profile, tell=doubts.append)
    return "; ".join([f"{said}; {len(task.classes)} classes on {task.axis}", *doubts])


def _result(path: Path) -> str:
    from phasecast.results import open_result

    with open_result(path) as result:
        if not result.is_closed:
            raise PhasecastError(
                f"its daemon ended before the scan did, or still writes; {result.points_done} points are done",
                remedy="start `phasecast live xrd` on its data directory: it repairs the file and goes on",
            )
        sums = {state: points for state, points in result.ledger_sums.items() if points}
        if sum(sums.values()) != result.points:
            raise PhasecastError(f"the ledger sums to {sum(sums.values())} for {result.points} points")
        status = result.counters.get("exit_status", "")
    described = ", ".join(f"{points} {state}" for state, points in sums.items())
    return f"{result.points} points ({described}); the scan ended with {status or 'no status'}"


def _capture(path: Path) -> str:
    from phasecast.sources.capture import check_capture

    return str(check_capture(path))


def _bundle(path: Path) -> str:
    from phasecast_models.xrd.bundle import load_bundle

    bundle = load_bundle(path)
    return f"{bundle.name} {bundle.version}, {len(bundle.classes)} classes on {bundle.axis}"


def _unknown(path: Path) -> str:
    raise PhasecastError(
        "not a profile (.toml), a result (.nxs), a capture (.cborseq or its folder) or a bundle",
        remedy="name one of these",
    )
