"""What documents and the files that they name can be, and must not do."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import pytest

from phasecast.core.errors import FrameError, IncompleteFileError, SourceError
from phasecast.core.frame import Frame, datum_key
from phasecast.core.scan import Defect, PointMeasured, ScanStart
from phasecast.sources.document_codec import decode_document
from phasecast.sources.document_frames import FrameFetcher
from phasecast.sources.document_roots import DocumentRoot, DocumentRoots, OutsideRootsError, moved_roots
from phasecast.sources.documents import DocumentDecoder
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.hdf5_values import Hdf5Values
from phasecast.sources.uri import open_source
from support import hostile_documents
from support.document_wire import Wire, to_record

IMAGES = np.arange(6 * 5 * 7, dtype="<i4").reshape(6, 5, 7)


def test_axes_of_real_plans_are_those_of_their_dimensions() -> None:
    bluesky = pytest.importorskip("bluesky")
    from bluesky import plans
    from ophyd.sim import SynAxis, SynGauss

    x, y = SynAxis(name="stage_x"), SynAxis(name="stage_y")
    detector = SynGauss("det", x, "stage_x", center=0, Imax=1)
    engine = bluesky.RunEngine({}, context_managers=[])
    # fields slow to fast, shape, whether an axis snakes
    yx = ["stage_y", "stage_x"]
    cases: list[tuple[Any, list[str], Any, Any]] = [
        (plans.grid_scan([detector], y, 0, 1, 2, x, 0, 2, 3, snake_axes=True), yx, (2, 3), True),
        (plans.rel_grid_scan([detector], y, 0, 1, 2, x, 0, 2, 3, snake_axes=False), yx, (2, 3), False),
        (plans.list_grid_scan([detector], y, [0, 1], x, [0, 5, 6], snake_axes=True), yx, (2, 3), True),
        (plans.list_grid_scan([detector], y, [0, 1], x, [0, 5, 6], snake_axes=[x]), yx, (2, 3), True),
        (plans.list_grid_scan([detector], y, [0, 1], x, [0, 5, 6]), yx, (2, 3), False),
        (plans.spiral_square([detector], x, y, 0, 0, 2, 2, 3, 2), yx, None, False),
        (plans.scan([detector], x, 0, 1, y, 0, 1, 3), ["stage_x", "stage_y"], None, False),
        (plans.list_scan([detector], x, [3, 1, 2]), ["stage_x"], None, False),
        (plans.count([detector], 2), [], None, False),
    ]  # fmt: skip
    for plan, fields, shape, snakes in cases:
        wire = Wire(Path("/nowhere"))
        token = engine.subscribe(wire)
        engine(plan)
        engine.unsubscribe(token)
        (start,), points = wire.of(ScanStart), wire.of(PointMeasured)
        where = start.plan_name
        assert [axis.field for axis in start.axes] == fields, where
        assert (start.shape, any(start.snaking)) == (shape, snakes), where
        # extents of relative plans are relative: positions are those that were read
        assert all(set(point.position) == set(fields) for point in points), where
        assert wire.of(Defect) == [], where


def write_hdf5(path: Path, images: np.ndarray = IMAGES, **options: Any) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("/entry/data/data", data=images, chunks=(1, *images.shape[1:]), **options)


def bslz4() -> dict[str, Any]:
    return dict(pytest.importorskip("hdf5plugin").Bitshuffle(cname="lz4"))


@pytest.mark.parametrize("options", [dict, bslz4, lambda: {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("spec", ["AD_HDF5", "AD_HDF5_SWMR"])
def test_area_detector_hdf5_adds_the_frames_of_a_point_up(
    tmp_path: Path, spec: str, options: Callable[[], dict[str, Any]]
) -> None:
    images = IMAGES.copy()
    images[2, 0, 0] = -1
    write_hdf5(tmp_path / "run.h5", images, **options())
    wire = Wire.classic(tmp_path, spec, "run.h5", {"frame_per_point": 2}, {"point_number": 1})
    (frame,) = wire.of(Frame)
    expected = images[2] + images[3]
    expected[0, 0] = -1  # a pixel that one of the frames does not count stays one
    np.testing.assert_array_equal(frame.image, expected)
    assert frame.keys == (datum_key("res/1"),)
    assert wire.of(PointMeasured)[0].frame_keys[0] == frame.keys[0]


@pytest.mark.parametrize(
    ("spec", "template", "name"),
    [
        ("AD_TIFF", "%s%s_%6.6d.tiff", "shot_000001.tiff"),
        ("AD_CBF", "%s%s_%5.5d.cbf", "shot_00008.cbf"),
        ("AD_HDF5_SINGLE", "%s%s_%6.6d.h5", "shot_000001.h5"),
    ],
)
def test_area_detector_files_are_found_by_their_template(tmp_path: Path, spec: str, template: str, name: str) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    if spec == "AD_HDF5_SINGLE":
        write_hdf5(folder / name, IMAGES[3:4])
    else:
        kind = fabio.tifimage.TifImage if spec == "AD_TIFF" else fabio.cbfimage.CbfImage
        kind(data=IMAGES[3]).write(str(folder / name))
    kwargs = {"template": template, "filename": "shot", "frame_per_point": 1}
    wire = Wire.classic(tmp_path, spec, "shots", kwargs | {"initial_number": 7} if spec == "AD_CBF" else kwargs,
                        {"point_number": 1})  # fmt: skip
    (frame,) = wire.of(Frame)
    np.testing.assert_array_equal(frame.image, IMAGES[3])
    assert wire.of(Defect) == []


def test_a_folder_of_streamed_files_is_read_by_its_template(tmp_path: Path) -> None:
    for number in (4, 5):
        fabio.tifimage.TifImage(data=IMAGES[number]).write(str(tmp_path / f"a_{number:06d}.tiff"))
    wire = Wire.streamed(
        tmp_path, uri=f"file://localhost{tmp_path}", mimetype="multipart/related;type=image/tiff", first=4, count=2,
        parameters={"template": "a_{:06d}.tiff", "chunk_shape": (1, 5, 7)},
    )  # fmt: skip
    np.testing.assert_array_equal([frame.image for frame in wire.of(Frame)], IMAGES[4:6])


def test_indices_of_a_stream_count_events_and_not_frames(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5")
    wire = Wire.streamed(tmp_path, uri=f"file://localhost{tmp_path}/a.h5", shape=[3, 5, 7], first=1, count=1)
    (frame,) = wire.of(Frame)
    np.testing.assert_array_equal(frame.image, IMAGES[3:6].sum(axis=0))


def test_frames_are_waited_for_until_after_the_run_and_then_named(tmp_path: Path) -> None:
    wire = Wire.streamed(tmp_path, uri=f"file://localhost{tmp_path}/a.h5", first=0, count=8)
    assert (wire.of(Frame), wire.of(Defect), wire.fetcher.pending) == ([], [], 8)
    write_hdf5(tmp_path / "a.h5")
    wire.look()
    assert len(wire.of(Frame)) == 6
    wire(
        "stop", {"run_start": "run", "uid": "stop", "time": 3.0, "exit_status": "success", "num_events": {"primary": 8}}
    )
    assert wire.of(Defect)[:-1] == []
    wire.now_s = 60.0
    wire.look()
    missing = [defect for defect in wire.of(Defect) if defect.reason == "frame file missing"]
    assert [(defect.number, defect.run) for defect in missing] == [(6, "run"), (7, "run")]
    assert "6 of 7 frames" in missing[0].detail
    assert wire.fetcher.pending == 0


def test_what_is_in_the_capture_is_not_fetched_again(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5")
    first = Wire.streamed(tmp_path, uri=f"file://localhost{tmp_path}/a.h5", first=0, count=6)
    now_s = [0.0]
    fetcher = FrameFetcher(DocumentRoots([DocumentRoot.parse(str(tmp_path))]), clock=lambda: now_s[0])
    decoder = DocumentDecoder(fetches=True, want=fetcher.want)
    for name, doc in first.documents:  # a restarted daemon decodes its capture again
        list(decoder.decode(replace(to_record(name, doc), received_s=1.0)))
    list(fetcher.look())
    for number in range(4):
        fetcher.recorded("resource", number)
    assert list(fetcher.look()) == []
    now_s[0] = 10.0
    assert len(list(fetcher.look())) == 2


def test_only_allowed_places_are_read(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir()
    outside.mkdir()
    write_hdf5(outside / "a.h5")
    (allowed / "link.h5").symlink_to(outside / "a.h5")
    os.mkfifo(allowed / "pipe.h5")
    roots = DocumentRoots([DocumentRoot.parse(str(allowed)), DocumentRoot.parse(f"C:/data={allowed}")])
    assert roots.find(str(allowed / "later.h5")) == allowed / "later.h5"
    assert roots.find(r"C:\data\run 1\a.h5") == allowed / "run 1" / "a.h5"
    assert roots.find(f"file://localhost{allowed}/run%201/a.h5") == allowed / "run 1" / "a.h5"
    for bad in (outside / "a.h5", allowed / "link.h5", allowed / "pipe.h5", allowed / ".." / "outside" / "a.h5", "a.h5",
                "", "http://[::1/a", f"{allowed}/a\0.h5"):  # fmt: skip
        with pytest.raises(FrameError):
            roots.find(str(bad))
    with pytest.raises(SourceError, match="no absolute folder"):
        DocumentRoot.parse("data")


def linked(path: Path, target: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["/entry/data/data"] = h5py.ExternalLink(str(target), "/entry/data/data")


def virtual(path: Path, target: Path) -> None:
    layout = h5py.VirtualLayout(shape=IMAGES.shape, dtype=IMAGES.dtype)
    layout[:] = h5py.VirtualSource(str(target), "/entry/data/data", shape=IMAGES.shape)
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("/entry/data/data", layout)


def floats(path: Path, _: Path) -> None:
    write_hdf5(path, IMAGES.astype(float))


def corrupt(path: Path, _: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("/entry/data/data", IMAGES.shape, "<i4", chunks=(1, 5, 7), **bslz4())
        dataset.id.write_direct_chunk((0, 0, 0), b"\xff" * 64)


@pytest.mark.parametrize("make", [linked, virtual, floats, corrupt])
def test_an_hdf5_file_that_is_not_what_it_should_be_rejects_its_point(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "in").mkdir()
    write_hdf5(tmp_path / "other.h5")
    make(tmp_path / "in" / "a.h5", tmp_path / "other.h5")
    wire = Wire.streamed(tmp_path / "in", uri=f"file://localhost{tmp_path}/in/a.h5", first=0, count=1)
    (defect,) = wire.of(Defect)
    assert (defect.reason, defect.number, defect.frame_keys) == ("corrupt frame", 0, (datum_key("descriptor/1"),))
    assert "\n" not in defect.detail


def test_numbers_are_read_from_this_file_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    with h5py.File(other, "w", libver="latest") as file:
        file["x"] = np.arange(5.0)
    with h5py.File(path, "w", libver="latest") as file:
        file["real"] = np.arange(5.0)
        file["soft"] = h5py.SoftLink("/real")
        file["circle"] = h5py.SoftLink("/circle")
        file["outside"] = h5py.ExternalLink(str(other), "/x")
        file["text"] = "no numbers"
    with Hdf5Values(path, "soft") as values:
        assert values.read(1, 3).tolist() == [1, 2, 3]
        with pytest.raises(IncompleteFileError):
            values.read(3, 3)
    for name in ("circle", "outside", "text", "nothing"):
        with pytest.raises(FrameError):
            Hdf5Values(path, name)


def test_a_numpy_file_is_a_frame_when_it_is_whole(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 4), 7.0))
    content = (tmp_path / "a.npy").read_bytes()
    image = read_frame_file("a.npy", content).image
    assert (image.dtype.kind, image.tolist()) == ("i", [[7] * 4] * 3)
    for cut in range(0, len(content), 7):
        with pytest.raises(IncompleteFileError):
            read_frame_file("a.npy", content[:cut])
    for shape in (b"(99999", b"(9, 9)", b"{3: 4}"):
        with pytest.raises(FrameError):
            read_frame_file("a.npy", content.replace(b"(3, 4)", shape))
    for bad in (np.full((3, 4), 0.5), np.zeros(3), np.array([["a"]])):
        np.save(tmp_path / "b.npy", bad)
        with pytest.raises(FrameError):
            read_frame_file("b.npy", (tmp_path / "b.npy").read_bytes())


@pytest.mark.parametrize("name", hostile_documents.documents())
def test_hostile_documents_of_files_become_defects_and_the_next_event_a_point(tmp_path: Path, name: str) -> None:
    wire = Wire(tmp_path)
    wire("start", hostile_documents.START)
    wire("descriptor", hostile_documents.DESCRIPTOR | {"data_keys": {**hostile_documents.KEYS, "i0": {}}})
    for document in hostile_documents.documents()[name]:
        wire(*document)
    wire.look(is_final=True)
    assert wire.of(Defect)
    assert wire.of(Frame) == []
    assert all("\n" not in defect.detail and len(defect.detail) < 700 for defect in wire.of(Defect))
    wire("event", {"descriptor": "d-insane", "seq_num": 1, "time": 1.0, "data": {"i0": 3.0}})
    assert wire.of(PointMeasured)[-1].scalars == {"i0": 3.0}


@pytest.mark.parametrize("name", hostile_documents.starts())
def test_insane_scans_are_scans_with_sane_values(tmp_path: Path, name: str) -> None:
    wire = Wire(tmp_path)
    wire("start", hostile_documents.starts()[name])
    (start,) = wire.of(ScanStart)
    assert 0 <= start.time_s < 4.2e9
    assert start.shape is None
    assert start.expected_points is None
    assert 0 <= start.scan_id < 2**53
    assert "\0" not in repr(start)


def test_pickle_is_let_in_where_the_source_names_it_alone() -> None:
    import pickle  # noqa: TID251 - what a RunEngine sends by default

    body = pickle.dumps({"uid": "x"})
    record = to_record("start", {})
    record = replace(record, parts=(b"x start " + body,))
    for uri, let_in in (("bluesky://host:1", False), ("bluesky://host:1?codec=pickle", True),
                        ("bluesky://host:1?codec=msgpack,pickle", True)):  # fmt: skip
        (message,) = open_source(uri).decoder.decode(record)
        assert isinstance(message, ScanStart if let_in else Defect), uri
        if isinstance(message, Defect):
            assert "codec=pickle" in message.detail
    assert decode_document(body) == {"uid": "x"}
    with pytest.raises(SourceError, match="codec=yaml"):
        open_source("bluesky://host:1?codec=yaml")


def test_several_detectors_are_asked_about_and_one_can_be_named(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5")
    for options, frames in (({}, 0), ({"image_field": "det"}, 1)):
        wire = Wire.streamed(
            tmp_path, uri=f"file://localhost{tmp_path}/a.h5", first=0, count=1, options=options, second="other"
        )
        assert len(wire.of(Frame)) == frames
        assert [defect.reason for defect in wire.of(Defect)] == ["several detectors"] * (1 - frames)


def test_a_file_that_was_moved_is_found_by_the_longest_end_of_its_path_and_nothing_outside(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    for name in ("x.h5", "run2/x.h5", "run2/y.h5"):
        (disk / name).parent.mkdir(parents=True, exist_ok=True)
        (disk / name).touch()
    (tmp_path / "secret.h5").touch()
    stated = [
        "/data/gpfs/run2/x.h5",
        "/data/gpfs/run1/x.h5",
        "/data/gpfs/../secret.h5",
        "secret.h5",
        str(disk / "new.h5"),
    ]
    roots = DocumentRoots(moved_roots(stated, disk))
    assert roots.find("/data/gpfs/run2/x.h5") == disk / "run2/x.h5"
    assert roots.find("file:///data/gpfs/run2/y.h5") == disk / "run2/y.h5"
    assert roots.find(str(disk / "new.h5")) == disk / "new.h5"
    for path in (stated[2], "secret.h5", str(tmp_path / "secret.h5"), "/elsewhere/x.h5"):
        with pytest.raises(OutsideRootsError):
            roots.find(path)
