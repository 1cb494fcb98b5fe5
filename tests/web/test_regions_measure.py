"""Regions hold the points they say, and their numbers are those of the scan; on layers whose depth is known."""

import csv
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phasecast.core.region_requests import Points, Polygon, Threshold
from phasecast.records.regions import Region
from phasecast.records.surfaces import Surface as SavedSurface
from phasecast.results.partition import STEEL, Surface
from phasecast.web.live_scan import LiveScan
from phasecast.web.regions_draft import Draft
from phasecast.web.regions_files import file_stem, mask_npy, mask_tiff, points_csv
from phasecast.web.regions_line import Origin, SurfaceLine, insert_corner
from phasecast.web.regions_measure import (
    MOST_BINS,
    applies_to,
    class_fractions,
    distance_profile,
    ground_of,
    mask_of,
    near_stroke,
    parts_of,
    proposed_parts,
)
from phasecast.web.regions_overlay import Area, draw_areas
from phasecast.web.regions_proposal import Proposal
from support.layered import RUST_UM, write_layers
from support.result_gallery import write_odd_results

SHAPE = (20, 24)


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    path = tmp_path_factory.mktemp("layers") / "layers.nxs"
    depth = write_layers(path, SHAPE, steel_rows=6)
    scan = LiveScan(path)
    yield scan, ground_of(scan), depth
    scan.close()


def test_a_polygon_a_threshold_and_points_hold_what_they_say(layers):
    _, ground, depth = layers
    left = Polygon(vertices_um=((99, 0), (99, 200), (123, 200), (123, 0)))
    assert np.array_equal(mask_of(ground, left), ground.x_um < 123)
    assert np.array_equal(mask_of(ground, Threshold(layer="ferrite", low=0.5, high=1)), depth < 0)
    assert np.flatnonzero(mask_of(ground, Points(scan_raw_uid="raw-layers", rows=(3, 7)))).tolist() == [3, 7]
    assert not mask_of(ground, Threshold(layer="no such layer", low=0, high=1)).any()
    assert not applies_to(Region(name="r", definition=Points(scan_raw_uid="another", rows=(3,))), "raw-layers")
    assert applies_to(Region(name="r", definition=left, scan_raw_uid="another"), "raw-layers")


def test_fractions_are_shares_of_the_area_of_a_region(layers):
    _, ground, depth = layers
    assert ground.cell_um == (2.0, 2.0)
    everything = np.ones(depth.size, dtype=bool)
    shares = {
        phase.id: one for phase, one in zip(ground.classes, class_fractions(ground, everything, 0.5), strict=True)
    }
    assert shares["ferrite"].value == pytest.approx(np.mean(depth < 0))
    assert shares["goethite"].value == pytest.approx(np.mean((depth >= 0) & (depth < RUST_UM)))
    assert shares["ferrite"].low < shares["ferrite"].value < shares["ferrite"].high
    assert shares["ferrite"].area_um2 == 4.0 * depth.size
    # a class that is nowhere is no surer than those that tell how alike neighbours are
    assert shares["austenite"].value == 0
    assert shares["austenite"].high > 0.1


def test_distance_is_normal_to_the_surface_and_no_bin_holds_both_sides(layers):
    _, ground, depth = layers
    border = float(ground.y_um[depth < 0].max()) + 1.0
    profile = distance_profile(ground, Surface(vertices_um=((100.0, border), (146.0, border))), 0.5)
    assert profile is not None
    assert profile.width_um == 2.0
    assert profile.points.sum() == depth.size
    assert np.allclose(np.diff(profile.distance_um), 2.0)
    ferrite, goethite, resin = (profile.shares[:, k] for k in (3, 1, 6))
    assert np.array_equal(ferrite, profile.distance_um < 0)
    assert np.array_equal(goethite, (profile.distance_um > 0) & (profile.distance_um < RUST_UM))
    assert np.array_equal(resin, profile.distance_um > RUST_UM)


def test_a_large_map_has_no_more_bins_than_can_be_read(tmp_path: Path) -> None:
    depth = write_layers(tmp_path / "tall.nxs", (160, 3), steel_rows=40)
    scan = LiveScan(tmp_path / "tall.nxs")
    ground = ground_of(scan)
    line = SurfaceLine()
    parts = proposed_parts(ground)
    line.propose(ground, parts)
    surface = line.surface(ground, parts)
    assert surface is not None
    profile = distance_profile(ground, surface, 0.5)
    assert profile is not None
    assert profile.distance_um.size <= MOST_BINS
    assert profile.points.sum() == depth.size
    scan.close()


def test_a_stroke_reaches_what_lies_within_its_radius(layers):
    _, ground, _ = layers
    stroke = np.array([[105.0, 55.0], [125.0, 70.0], [125.0, 70.0], [110.0, 80.0]])
    fine = np.concatenate([np.linspace(a, b, 400) for a, b in itertools.pairwise(stroke)])
    distance = np.hypot(*(np.stack([ground.x_um, ground.y_um], axis=1)[:, None] - fine[None]).transpose(2, 0, 1))
    near = near_stroke(ground, stroke, 4.1)
    assert np.array_equal(near, distance.min(axis=1) <= 4.1)
    assert near_stroke(ground, [(101.0, 51.0)], 0.1).sum() == 0
    assert not near_stroke(ground, [], 5.0).any()


def test_a_brush_adds_to_what_is_drawn_and_takes_away(layers):
    _, ground, depth = layers
    draft = Draft()
    assert not draft.enclose([(0, 0), (0, 0), (1, 1)])
    draft.limit("ferrite", 0.5, 1.0)
    near = near_stroke(ground, [(120.0, 80.0)], 3.0)
    draft.paint(ground, near, erase=False)
    assert np.array_equal(draft.mask(ground), (depth < 0) | near)
    draft.paint(ground, depth < 0, erase=True)
    assert np.array_equal(draft.mask(ground), near)
    assert isinstance(draft.definition, Points)
    draft.paint(ground, near, erase=True)
    assert draft.definition is None


@pytest.mark.parametrize(
    ("new", "place"), [((5.0, 1.0), 1), ((-3.0, 0.0), 0), ((23.0, 0.0), 3), ((14.0, -2.0), 2), ((10.1, 0.1), 2)]
)
def test_a_new_corner_goes_where_it_lies_along_the_line(new, place):
    corners = [(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)]
    found = insert_corner(corners, new)
    assert found.index(new) == place
    assert [corner for corner in found if corner != new] == corners


def test_what_a_person_edits_stays_and_what_is_saved_beats_the_proposal(layers):
    _, ground, depth = layers
    parts = proposed_parts(ground)
    assert np.array_equal(parts == STEEL, depth < 0)
    line = SurfaceLine()
    line.take(ground, parts, None)
    assert line.origin is Origin.PROPOSED
    saved = SavedSurface(
        raw_uid="raw-layers", vertices_um=((0.0, 60.0), (9.0, 60.0)), confirmed=True, who="A", time_s=1
    )
    line.take(ground, parts, saved)
    assert (line.origin, line.vertices_um, line.who) == (Origin.CONFIRMED, saved.vertices_um, "A")
    line.edit([(0.0, 60.0), (9.0, 60.0), (4.0, 63.0)])
    line.take(ground, parts, saved)
    assert line.origin is Origin.EDITED
    assert line.vertices_um == ((0.0, 60.0), (4.0, 63.0), (9.0, 60.0))
    line.forget()
    line.take(ground, parts, SavedSurface(raw_uid="raw-layers", vertices_um=(), confirmed=True, who="B", time_s=2))
    assert line.origin is Origin.DECLINED
    assert line.surface(ground, parts) is None


@pytest.mark.parametrize("turned", [False, True])
def test_distances_grow_away_from_the_steel_whichever_way_the_line_was_drawn(layers, turned):
    _, ground, depth = layers
    line = SurfaceLine()
    corners = [(100.0, 61.0), (146.0, 61.0)]
    line.edit(corners[::-1] if turned else corners)
    surface = line.surface(ground, proposed_parts(ground))
    assert surface is not None
    assert np.allclose(surface.distance_um(ground.x_um, ground.y_um), depth)


def test_confirmed_parts_beat_the_proposal(layers):
    _, ground, _ = layers
    region = Region(name="s", definition=Points(scan_raw_uid="raw-layers", rows=(0, 1, 2)), role="steel")
    assert np.flatnonzero(parts_of(ground, [region]) == STEEL).tolist() == [0, 1, 2]
    assert np.array_equal(parts_of(ground, []), proposed_parts(ground))


def test_a_proposal_follows_a_growing_scan_and_keeps_what_was_painted(tmp_path: Path) -> None:
    grounds = []
    for name, done in (("half", 240), ("whole", 480)):
        write_layers(tmp_path / f"{name}.nxs", SHAPE, steel_rows=6, done=done)
        scan = LiveScan(tmp_path / f"{name}.nxs")
        grounds.append(ground_of(scan))
        scan.close()
    half, whole = grounds
    proposal = Proposal()
    assert not proposal.follow(half)
    proposal.propose(half)
    near = near_stroke(half, [(110.0, 52.0)], 3.0)
    proposal.paint(near, "outside")
    assert proposal.follow(whole)
    assert proposal.parts is not None
    assert set(proposal.parts[near]) == {"outside"}
    assert np.array_equal(proposal.parts[~near], proposed_parts(whole)[~near])


def test_areas_are_outlined_and_tinted_where_their_points_are(layers):
    scan, _, depth = layers
    picture = draw_areas(scan.canvas, [Area(chosen=depth < 0, colour="#123456", filled=True)])
    side = scan.canvas.side(fine=False)
    assert picture.shape == (SHAPE[0] * side, SHAPE[1] * side)
    assert np.array_equal((picture != 0).all(axis=1), np.arange(SHAPE[0] * side) < 6 * side)
    outline = draw_areas(scan.canvas, [Area(chosen=depth < 0, colour="#123456", filled=False)])
    assert (outline[[0, 6 * side - 1]] == 0xFF563412).all()
    assert not outline[1 : 6 * side - 1, 1:-1].any()


def test_files_hold_the_mask_upright_and_open_in_japanese_excel(layers):
    _, ground, depth = layers
    steel = depth < 0
    content = points_csv(ground, steel)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert list(rows[0]) == ["point", "x_um", "y_um", "in_region"]
    assert [int(row["in_region"]) for row in rows] == steel.astype(int).tolist()
    assert [float(row["y_um"]) for row in rows] == ground.y_um.tolist()
    with Image.open(io.BytesIO(mask_tiff(ground, steel))) as picture:
        upright = np.asarray(picture)
    assert upright.shape == SHAPE
    assert upright[-6:].all()
    assert not upright[:-6].any()
    mask = np.load(io.BytesIO(mask_npy(ground, steel)))
    assert np.array_equal(mask, upright[::-1] > 0)
    assert file_stem("scan", "a/b 錆") == "scan_a_b_錆"


def test_odd_results_have_grounds_masks_and_numbers(tmp_path: Path) -> None:
    for path in write_odd_results(tmp_path).values():
        scan = LiveScan(path)
        ground = ground_of(scan)
        chosen = np.ones(ground.done.size, dtype=bool)
        assert len(class_fractions(ground, chosen, 0.5)) == len(ground.classes)
        line = SurfaceLine()
        line.take(ground, proposed_parts(ground), None)
        assert line.surface(ground, proposed_parts(ground)) is None
        assert draw_areas(scan.canvas, [Area(chosen=chosen, colour="#000000", filled=True)]).any()
        assert len(points_csv(ground, chosen).splitlines()) == ground.done.size + 1
        assert mask_npy(ground, chosen)
        assert bool(mask_tiff(ground, chosen)) == (ground.placement is not None)
        scan.close()
