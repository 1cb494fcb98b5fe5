"""The log of positions that a beamline's own program writes: a TAB file of Windows, flushed after each row."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

UM_PER_PULSE = 0.05
"""What a pulse of the simulated stage's motors moves."""

_JST = timezone(timedelta(hours=9))
_HEADER = ("番号", "ファイル名", "日時", "X[pulse]", "Y[pulse]", "I0", "透過率")


class PositionLogWriter:
    """Writes one row a point, as the documents of a run come; CP932, CRLF, local time of Japan, positions in pulses.

    Parameters
    ----------
    path
        The file; what is there is kept, and rows are appended.
    frame_prefix
        Start of the names of the frames' files.
    """

    uri = ""
    in_address = ""

    def __init__(self, path: Path, *, frame_prefix: str = "rust") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self._file = path.open("ab", buffering=0)
        self._prefix = frame_prefix
        self._runs = 0
        self.published = 0
        if is_new:
            self._write(_HEADER)

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Take one document of the run; each event is a row."""
        if name == "start":
            self._runs += 1
        if name != "event":
            return
        data = document["data"]
        number = int(data.get("pilatus_image_number", document["seq_num"] - 1))
        moment = datetime.fromtimestamp(document["time"], _JST)
        self._write(
            (
                str(document["seq_num"]),
                f"D:\\data\\{self._prefix}{self._runs:03d}_{number:05d}.cbf",
                f"{moment:%Y/%m/%d %H:%M:%S}.{moment.microsecond // 1000:03d}",
                str(round(data["stage_x"] / UM_PER_PULSE)),
                str(round(-data["stage_y"] / UM_PER_PULSE)),
                f"{data['i0']:.1f}",
                f"{data['transmission']:.6f}",
            )
        )
        self.published += 1

    def flush(self, timeout_s: float = 10.0) -> None:
        """Nothing to wait for: every row is written at once."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, cells: tuple[str, ...]) -> None:
        self._file.write(("\t".join(cells) + "\r\n").encode("cp932"))
