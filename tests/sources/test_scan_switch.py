"""Which frames a declaration takes follows from the order of the records alone."""

import numpy as np
import pytest
import tomli_w

from phasecast.core.errors import ProfileError
from phasecast.core.frame import Frame, FrameId, FrameReference, counter_key
from phasecast.core.scan import Defect, PointMeasured, ScanDeclared, ScanStart, ScanStop, ScanUid, SeriesStart
from phasecast.profiles import parse_scan
from phasecast.sources.declaration_record import DeclarationDecoder, encode_declaration
from phasecast.sources.declared_scan import ScanDirector
from phasecast.sources.declared_wires import StageFields
from phasecast.sources.scan_switch import BAD_DECLARATION, UNDECLARED, ScanSwitch, TakenDeclaration
from support.simplon_wire import record

RASTER = {"nx": 2, "ny": 2, "step_x_um": 1.0, "step_y_um": 1.0, "exposure_s": 0.1}


def take(declared: ScanDeclared) -> TakenDeclaration:
    declaration = parse_scan(declared.text, "declaration")
    director = ScanDirector(declaration, StageFields(x="x", y="y"), uid=ScanUid(f"scan of {declared.declaration_id}"))
    return TakenDeclaration(declaration=declaration, director=director)


def frame(series: str, number: int) -> Frame:
    return Frame(
        frame_id=FrameId(f"{series}/{number}"), series=series, number=number, image=np.zeros((1, 1), np.int32),
        keys=(counter_key(number),), received_s=float(number),
        reference=FrameReference(store="capture", path="segment", offset=number, number=number),
    )  # fmt: skip


def declare(name: str = "a", known: frozenset[str] = frozenset(), **changes: object) -> ScanDeclared:
    text = tomli_w.dumps(RASTER | changes)
    return ScanDeclared(declaration_id=name, text=text, folder="/", who="m", declared_s=5.0, known_series=known)


class Wire:
    """A switch and what came out of it."""

    def __init__(self, **options) -> None:
        self.switch = ScanSwitch(take, **({"others_pass": False} | options))
        self.messages = []

    def send(self, *messages) -> "Wire":
        for message in messages:
            self.messages += self.switch.direct(message, record([b""], channel="files"))
        return self

    def of(self, kind):
        return [message for message in self.messages if isinstance(message, kind)]


def test_the_next_new_series_is_the_scan_and_the_one_after_it_is_none():
    wire = Wire().send(frame("align", 1))
    assert wire.of(Frame), "before any declaration everything passes"
    wire.send(declare(known=frozenset({"align"})), frame("align", 2), *(frame("map", n) for n in range(1, 5)))
    (start,) = wire.of(ScanStart)
    assert (start.uid, start.series) == ("scan of a", "map")
    assert [point.position for point in wire.of(PointMeasured)] == [
        {"x": x, "y": y} for x, y in [(0, 0), (1, 0), (0, 1), (1, 1)]
    ]
    wire.send(frame("next", 1), frame("next", 2))
    assert len(wire.of(ScanStart)) == 1
    assert [defect.reason for defect in wire.of(Defect)] == [UNDECLARED], "named once a series, also where known"
    assert wire.switch.counters["frames_without_declaration"] == 3


def test_a_named_series_is_waited_for_and_a_second_declaration_takes_the_place_of_the_first():
    wire = Wire().send(declare(series="map"), frame("run/other", 1), declare("b", series="map"), frame("run/map", 1))
    (start,) = wire.of(ScanStart)
    assert (start.uid, start.series) == ("scan of b", "run/map")
    wire.send(declare("b", series="map"), frame("run/map", 2))
    assert len(wire.of(PointMeasured)) == 2, "what is recorded twice is one declaration"
    wire.send(declare("c"))
    (stop,) = wire.of(ScanStop)
    assert (stop.uid, stop.exit_status) == ("scan of b", "abort")


def test_a_detector_that_numbers_its_series_anew_is_believed():
    wire = Wire().send(frame("1", 1), declare(known=frozenset({"1"})))
    wire.send(SeriesStart(series="1", received_s=6.0, expected_frames=4), frame("1", 1))
    assert [start.series for start in wire.of(ScanStart)] == ["1"]


def test_frames_that_place_themselves_pass_and_documents_end_the_declaration():
    wire = Wire(others_pass=True).send(declare(series="map"), frame("other", 1))
    assert [one.series for one in wire.of(Frame)] == ["other"]
    announced = ScanStart(
        uid=ScanUid("raw"), scan_id=1, time_s=6.0, plan_name="grid", axes=(), shape=None, snaking=(), expected_points=1
    )
    wire.send(announced, frame("map", 1))
    assert wire.of(ScanStart) == [announced]
    assert len(wire.of(Frame)) == 2


def test_what_is_no_declaration_is_named_and_the_earlier_one_stays():
    wire = Wire().send(declare(), declare("bad", nx=0), frame("map", 1))
    assert [defect.reason for defect in wire.of(Defect)] == [BAD_DECLARATION]
    assert [start.uid for start in wire.of(ScanStart)] == ["scan of a"]
    with pytest.raises(ProfileError, match="nx"):
        take(declare(nx=0))


def test_a_recorded_declaration_is_read_back_and_anything_else_is_a_defect():
    declared = declare(known=frozenset({"align", "位置合わせ"}))
    decoder = DeclarationDecoder()
    assert list(decoder.decode(record(encode_declaration(declared), channel="declaration"))) == [declared]
    for parts in ([b""], [b"\xff"], [b"a", b"b"], [], encode_declaration(declared)[0:1] * 2):
        (message,) = decoder.decode(record(parts, channel="declaration"))
        assert isinstance(message, Defect), parts
