"""Every command as a user meets it: what it prints, what it leaves behind, and how it ends."""

import json
import re
import shutil
import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from phasecast.cli import app, main
from phasecast.core.record import Channel
from phasecast.profiles import list_profiles
from phasecast.sources.capture import CaptureWriter
from support.documents import raster_scan
from support.peaks import LAB6_TTH_DEG, line_tth_deg, lines_inside

CU_K_ALPHA_ANGSTROM = 1.5406


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def phasecast(capfd, monkeypatch):
    """Run a command line through the program's own entry point."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["phasecast", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *capfd.readouterr())

    return run


def commands(command=None, path=()):
    """Every command of the program with the words that call it."""
    command = command or get_command(app)
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path


def test_every_command_has_help_with_an_example_of_itself(phasecast):
    found = list(commands())
    assert {("profiles",), ("integrate",), ("classify",), ("check",), ("demo",), ("live", "xrd")} <= set(found)
    for path in found:
        ended = phasecast(*path, "--help")
        assert ended.status == 0
        assert re.search(rf"Example:\s+phasecast {' '.join(path)}", ended.out), path


def test_profiles_are_listed_one_a_line(phasecast):
    ended = phasecast("profiles")
    assert [line.split()[0] for line in ended.out.splitlines()] == list(list_profiles())
    assert list(json.loads(phasecast("profiles", "--json").out)) == list(list_profiles())


@pytest.fixture
def taken_port():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


LIVE = ("live", "xrd", "--profile", "bl16xu", "--data-dir", "{tmp}/data")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("integrate", "a.cbf", "--profile", "bl61xu"), "no profile 'bl61xu'.*bl16xu"),
        (("integrate", "a.cbf", "--profile", "bl16xu", "--poni", "{tmp}/no.poni"), "no.poni.*does not exist"),
        (("integrate", "{tmp}/a.cbf", "--profile", "bl16xu"), "a.cbf: cannot be read"),
        (("integrate", "a.cbf", "--profile", "bl16xu", "-o", "{tmp}/file/below"), "below: cannot make"),
        (("classify", "{tmp}/a.xy"), "a.xy.*No such file"),
        (("classify", "{tmp}/table.csv"), "table.csv.*more than three columns"),
        (("classify", "{tmp}/a.cbf", "--model", "rust-9"), "rust-9.*bl16xu-rust"),
        (("check", "{tmp}/a.nxs"), "a.nxs: no such file"),
        (("live", "xrd", "--profile", "no", "--data-dir", "{tmp}/data"), "no profile 'no'"),
        (("live", "xrd", "--profile", "gsecars-map", "--data-dir", "{tmp}/data"), "no source given.*--source"),
        (("live", "xrd", "--profile", "bl16xu", "--data-dir", "{tmp}/file/below"), "below: cannot make.*--data-dir"),
        ((*LIVE, "--source", "carrier://pigeon"), "carrier.*files:///"),
        ((*LIVE, "--source", "simplon://host"), "host and port.*simplon://host:9999"),
        ((*LIVE, "--source", "simplon://host:99999"), "simplon://host:99999.*simplon://host:9999"),
        ((*LIVE, "--source", "files:///nowhere/at/all"), "/nowhere/at/all.*does not exist"),
        ((*LIVE, "--source", "files:{tmp}?wiat=1"), "unknown parameter 'wiat'.*wait"),
        ((*LIVE, "--source", "files:{tmp}", "--device", "tpu"), "tpu.*cpu"),
        ((*LIVE, "--source", "files:{tmp}", "--model", "rust-9"), "rust-9"),
        (("demo", "--shape", "0x3"), "'0x3' is no map shape.*40x60"),
        (("demo", "--data-dir", "{tmp}/file/below"), "below.*cannot make"),
        (("simulate", "xrd", "-o", "carrier://pigeon"), "carrier"),
        (("simulate", "xrd", "-o", "simplon://127.0.0.1:0", "--fault", "rain=1"), "rain.*drop"),
        (("simulate", "xrd", "-o", "{tmp}/frames", "--documents-port", "0", "--truth", "{tmp}/file/t.json"), "t.json"),
        (("simulate", "xrd", "-o", "simplon://127.0.0.1:{port}", "--documents-port", "0"), "{port}.*another port"),
    ],
    ids=lambda words: " ".join(words)[:60] if isinstance(words, tuple) else "",
)
def test_what_cannot_be_done_is_one_clear_line(phasecast, tmp_path, taken_port, words, says):
    (tmp_path / "file").touch()
    (tmp_path / "table.csv").write_text("".join(f"{10 + i},5,6,7\n" for i in range(20)))
    ended = phasecast(*(word.format(tmp=tmp_path, port=taken_port) for word in words))
    assert ended.status == 1
    lines = (ended.out + ended.err).strip().splitlines()
    assert len(lines) == 1, lines
    assert re.search(says.format(port=taken_port), lines[0]), lines[0]
    assert "Errno" not in lines[0]


def test_lab6_lines_are_found_within_a_hundredth_of_a_degree(phasecast, measured_data, tmp_path):
    frames = sorted((measured_data / "pilatus100k_lab6").glob("*.cbf"))
    found = {}
    for frame in frames:
        words = ("--profile", "ssrl-lab6", "--poni", frame.with_suffix(".poni"), "-o", tmp_path, "--device", "cpu")
        ended = phasecast("integrate", frame, *words, "--json")
        assert ended.status == 0, ended.err
        (entry,) = json.loads(ended.out)
        tth_deg, intensity, sigma = np.loadtxt(entry["output"], unpack=True)
        assert np.all(sigma[intensity > 0] > 0)
        for line in lines_inside(tth_deg, intensity, LAB6_TTH_DEG):
            found.setdefault(line, []).append(line_tth_deg(tth_deg, intensity, line) - line)
    worst = max(abs(error) for errors in found.values() for error in errors)
    print(f"phasecast integrate: LaB6 in {len(frames)} modules, worst line {worst:.4f} deg")  # noqa: T201
    assert len(frames) == 4
    assert set(found) == set(LAB6_TTH_DEG)
    assert worst < 0.01


def test_a_bad_frame_among_good_ones_does_not_stop_them(phasecast, measured_data, tmp_path):
    good = sorted((measured_data / "pilatus100k_map").glob("*.cbf"))[:2]
    torn = tmp_path / "torn_01_module.cbf"
    torn.write_bytes(good[0].read_bytes()[:50_000])
    output = tmp_path / "patterns"
    ended = phasecast("integrate", good[0], torn, good[1], "--profile", "gsecars-map", "-o", output)
    assert ended.status == 1
    assert [path.stem for path in sorted(output.iterdir())] == [path.stem for path in good]
    (line,) = [line for line in ended.err.splitlines() if "torn" in line]
    assert str(torn) in line
    assert "Traceback" not in ended.err


@pytest.fixture
def magnetite(measured_data, tmp_path):
    """The magnetite column of RockJock, as a file of its own."""
    table = measured_data / "xrd_patterns" / "rockjock_Fe_and_others_CuKa.csv"
    names = table.read_text().partition("\n")[0].split(",")
    columns = np.loadtxt(table, delimiter=",", skiprows=1, usecols=(0, names.index("MAGNETITE")))
    path = tmp_path / "magnetite.csv"
    np.savetxt(path, columns, delimiter=",", header="tth_deg,counts", comments="")
    return path


def test_a_measured_pattern_is_named(phasecast, magnetite):
    words = ("--wavelength-angstrom", CU_K_ALPHA_ANGSTROM)
    ended = phasecast("classify", magnetite, *words, "--json")
    assert ended.status == 0
    (entry,) = json.loads(ended.out)
    iron = ("magnetite", "goethite", "lepidocrocite", "ferrite", "austenite", "cementite")
    assert max(iron, key=entry["confidences"].get) == "magnetite"
    assert all(0 <= value <= 1 for value in entry["confidences"].values())
    assert "magnetite" in phasecast("classify", magnetite, *words).out


def test_a_bad_pattern_among_good_ones_does_not_stop_them(phasecast, magnetite, tmp_path):
    bad = tmp_path / "notes.csv"
    bad.write_text("these are no numbers\n")
    ended = phasecast("classify", magnetite, bad, magnetite, "--wavelength-angstrom", CU_K_ALPHA_ANGSTROM, "--json")
    assert ended.status == 1
    first, second, third = json.loads(ended.out)
    assert first == third
    assert first["error"] is None
    assert str(bad) in second["error"]
    assert "\n" not in second["error"]


@pytest.fixture
def result(tmp_path):
    from phasecast.sinks.nexus import NexusSink

    path = tmp_path / "scan.nxs"
    with NexusSink(path) as sink:
        for document in raster_scan().documents(4):
            sink(*document)
    return path


def test_check_knows_valid_files_of_every_kind(phasecast, result, tmp_path):
    profile = tmp_path / "mine.toml"
    profile.write_text(list_profiles()["bl16xu"].read_text())
    with CaptureWriter(tmp_path / "captures") as capture:
        capture.append(Channel("simplon"), [b"{}"], 1.0)
    import phasecast_models

    bundle = Path(phasecast_models.__file__).parent / "xrd" / "bundles" / "bl16xu-rust"
    ended = phasecast("check", profile, result, tmp_path / "captures", bundle)
    assert ended.status == 0, ended.out
    kinds = ["profile", "result", "capture", "bundle"]
    assert [line.split()[:2] for line in ended.out.splitlines()] == [["valid", kind] for kind in kinds]


def test_check_says_exactly_why_a_file_is_not_valid(phasecast, result, tmp_path):
    profile = tmp_path / "mine.toml"
    profile.write_text(list_profiles()["bl16xu"].read_text().replace("energy_kev", "energie_kev"))
    torn = tmp_path / "torn.nxs"
    torn.write_bytes(result.read_bytes()[:2000])
    import phasecast_models

    bundle = tmp_path / "bundle"
    shutil.copytree(Path(phasecast_models.__file__).parent / "xrd" / "bundles" / "bl16xu-rust", bundle)
    weights = bytearray((bundle / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (bundle / "weights.safetensors").write_bytes(weights)
    capture = tmp_path / "a.cborseq"
    capture.write_bytes(b"no capture at all")
    unknown = tmp_path / "notes.txt"
    unknown.touch()
    expected = {
        profile: ("profile", "energie_kev"),
        torn: ("result", "truncated|HDF5|cannot be read"),
        bundle: ("bundle", "hash|sha256|match"),
        capture: ("capture", "capture"),
        unknown: ("unknown", "not a profile"),
    }
    ended = phasecast("check", *expected)
    assert ended.status == 1
    for line, (path, (kind, reason)) in zip(ended.out.splitlines(), expected.items(), strict=True):
        assert line.startswith(f"INVALID {kind} {path}: "), line
        assert re.search(reason, line), line
    verdicts = json.loads(phasecast("check", result, *expected, "--json").out)
    assert [verdict["valid"] for verdict in verdicts] == [True] + 5 * [False]


def test_check_tells_an_unfinished_result_from_a_broken_one(phasecast, tmp_path):
    from phasecast.sinks.nexus import NexusSink

    scan = raster_scan()
    growing = NexusSink(tmp_path / "growing.nxs")
    for document in (*scan.opening(), *scan.pages(4, last=8)):
        growing(*document)
    left = tmp_path / "left.nxs"
    shutil.copy(growing.path, left)
    growing.close()
    ended = phasecast("check", left)
    assert ended.status == 1
    assert "ended before the scan did" in ended.out
    assert "phasecast live xrd" in ended.out
    assert phasecast("check", growing.path).status == 0
