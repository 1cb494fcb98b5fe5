"""A request that exists makes sense: nonsense cannot be built."""

import math

import pytest

from phasecast.core.errors import PhasecastError, RequestError
from phasecast.core.region_requests import Points, Polygon, SaveRegion, SaveSurface, Threshold
from phasecast.core.requests import MAX_LABEL_POINTS, Acknowledge, CloseScan, DescribeSample, LabelPoints

LABEL = {"scan_raw_uid": "u", "result": "a.nxs", "points": (1,), "classes": ("goethite",), "who": "M. Mori"}


@pytest.mark.parametrize(
    "changes",
    [
        {"points": ()}, {"points": (1, 1)}, {"points": (-1,)}, {"points": tuple(range(MAX_LABEL_POINTS + 1))},
        {"classes": ()}, {"classes": ("a", "a")}, {"classes": ("",)}, {"who": ""}, {"who": " "}, {"who": "a\nb"},
        {"who": "x" * 200}, {"result": "../a.nxs"}, {"result": "/etc/passwd"}, {"result": ".hidden"},
        {"result": "a\\b.nxs"}, {"scan_raw_uid": ""}, {"note": "x" * 5000}, {"note": "a\x00b"},
    ],
    ids=str,
)  # fmt: skip
def test_a_label_that_makes_no_sense_cannot_be_asked_for(changes):
    with pytest.raises(RequestError) as caught:
        LabelPoints(**LABEL | changes)
    assert isinstance(caught.value, PhasecastError)
    assert len(str(caught.value)) < 200


def test_notes_and_names_take_any_language_and_lines():
    request = LabelPoints(**LABEL | {"who": "森 真理", "note": "針鉄鉱\n二行目\tタブ"})
    assert request.who == "森 真理"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Polygon(vertices_um=((0, 0), (1, 1))),
        lambda: Polygon(vertices_um=((0, 0), (1, 1), (math.nan, 0))),
        lambda: Points(scan_raw_uid="u", rows=()),
        lambda: Points(scan_raw_uid="", rows=(1,)),
        lambda: Threshold(layer="goethite", low=0.6, high=0.5),
        lambda: Threshold(layer="goethite", low=0.0, high=math.inf),
        lambda: Threshold(layer="", low=0.0, high=1.0),
        lambda: SaveSurface(scan_raw_uid="u", vertices_um=((0, 0),), confirmed=True, who="m"),
        lambda: DescribeSample(scan_raw_uid="", fields={"comment": "x" * 5000}, who="m"),
        lambda: DescribeSample(scan_raw_uid="", fields={f"f{k}": "" for k in range(100)}, who="m"),
        lambda: SaveRegion(name="", definition=Threshold(layer="a", low=0, high=1), who="m"),
        lambda: Acknowledge(alarm_id="", who="m"),
        lambda: CloseScan(scan_uid="", who="m"),
    ],
)
def test_so_it_is_with_everything_else(build):
    with pytest.raises(RequestError):
        build()


def test_a_person_can_say_that_there_is_no_surface():
    assert SaveSurface(scan_raw_uid="u", vertices_um=(), confirmed=True, who="m").vertices_um == ()
