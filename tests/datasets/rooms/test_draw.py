import numpy as np
import pytest

from keras_selfaux.datasets.rooms import _draw, _furniture
from keras_selfaux.datasets.rooms._geometry import turn
from keras_selfaux.datasets.rooms._scene import (
    FLOOR,
    ROOM_CLASSES,
    UNLABELLED,
    Box,
    Sphere,
    bounds,
    surfaces,
)

SCENES = [_draw.draw_scene(0, index) for index in range(25)]
KINDS = {
    "bed": _furniture.draw_bed,
    "cabinet": _furniture.draw_cabinet,
    "chair": _furniture.draw_chair,
    "table": _furniture.draw_table,
    "ball": _furniture.draw_ball,
    "lamp": _furniture.draw_lamp,
    None: _furniture.draw_carton,
}


def on_the_floor(scene):
    return [piece for piece in scene.furniture if piece.position[2] == 0.0]


def test_a_scene_depends_on_its_key_alone():
    assert _draw.draw_scene(0, 7) == SCENES[7]
    assert _draw.draw_scene(1, 7) != SCENES[7]
    assert len(set(SCENES)) == len(SCENES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_stands_on_the_ground_and_is_of_one_class(kind):
    label = UNLABELLED if kind is None else ROOM_CLASSES.index(kind)
    for seed in range(20):
        piece = KINDS[kind](_draw.generator(seed))
        assert {solid.surface.label for solid in piece.solids} == {label}
        low, high = bounds(piece)
        assert low[2] == pytest.approx(0.0, abs=1e-12)
        assert (high - low > 0.1).all()
        assert high[2] < 2.2
        for solid in piece.solids:
            if isinstance(solid, Box):
                assert (np.array(solid.high) > np.array(solid.low)).all()


@pytest.mark.parametrize("scene", SCENES[:10])
def test_corners_of_solids_lie_within_their_piece_s_footprint(scene):
    for piece in scene.furniture:
        ground = _draw.footprint(piece)
        for solid in piece.solids:
            if isinstance(solid, Sphere):
                continue
            for x in (solid.low[0], solid.high[0]):
                for y in (solid.low[1], solid.high[1]):
                    corner = turn(np.array([x, y, 0.0]), piece.yaw)
                    corner += piece.position
                    assert ground.left - 1e-9 <= corner[0]
                    assert corner[0] <= ground.right + 1e-9
                    assert ground.near - 1e-9 <= corner[1]
                    assert corner[1] <= ground.far + 1e-9


def test_furniture_stands_apart_within_the_room():
    for scene in SCENES:
        width, depth, height = scene.room.size
        grounds = [_draw.footprint(piece) for piece in on_the_floor(scene)]
        for index, ground in enumerate(grounds):
            assert ground.left > 0.0
            assert ground.near > 0.0
            assert ground.right < width
            assert ground.far < depth
            assert not any(
                _draw.overlap(ground, other) for other in grounds[:index]
            )
        assert all(
            piece.position[2] + bounds(piece)[1][2] < height
            for piece in scene.furniture
        )


def test_what_does_not_stand_on_the_floor_stands_on_a_table():
    raised = 0
    for scene in SCENES:
        for piece in scene.furniture:
            if piece.position[2] == 0.0:
                continue
            raised += 1
            boards = [
                _draw.footprint(table)
                for table in on_the_floor(scene)
                if bounds(table)[1][2] == pytest.approx(piece.position[2])
            ]
            x, y, _ = piece.position
            middle = _draw.Footprint(x, y, x, y)
            assert any(_draw.overlap(board, middle) for board in boards)
    assert raised > 5


def test_the_camera_stands_free():
    for scene in SCENES:
        x, y, z = scene.camera.position
        reach = _draw.CLEARANCE
        around = _draw.Footprint(x - reach, y - reach, x + reach, y + reach)
        assert not any(
            _draw.overlap(_draw.footprint(piece), around)
            for piece in scene.furniture
        )
        assert 0.4 <= x <= scene.room.size[0] - 0.4
        assert 0.4 <= y <= scene.room.size[1] - 0.4
        assert 1.2 <= z <= 1.8


def test_what_has_a_back_stands_with_it_at_a_wall():
    backed = {ROOM_CLASSES.index(kind) for kind in ("bed", "cabinet")}
    found = 0
    for scene in SCENES:
        for piece in scene.furniture:
            if piece.solids[0].surface.label not in backed:
                continue
            found += 1
            low, high = bounds(piece)
            back = np.array([(low[0] + high[0]) / 2.0, high[1], 0.0])
            x, y, _ = turn(back, piece.yaw) + piece.position
            gaps = (x, scene.room.size[0] - x, y, scene.room.size[1] - y)
            assert min(gaps) == pytest.approx(0.02, abs=1e-9)
    assert found > 25


def test_panels_lie_within_their_side_and_do_not_cross():
    for scene in SCENES:
        for panel in scene.room.panels:
            axis = panel.side // 2
            size = np.delete(scene.room.size, axis)
            assert (np.array(panel.low) >= 0.0).all()
            assert (np.array(panel.high) <= size).all()
            assert (np.array(panel.low) < np.array(panel.high)).all()
            if panel.side == FLOOR:
                continue
            for other in scene.room.panels:
                same_label = other.surface.label == panel.surface.label
                apart = (
                    panel.side != other.side
                    or panel.high[0] < other.low[0]
                    or other.high[0] < panel.low[0]
                )
                assert apart or same_label


def test_every_lamp_gives_light_from_its_middle():
    for scene in SCENES:
        middles = {light.position for light in scene.lights[1:]}
        lamps = [
            solid
            for piece in scene.furniture
            for solid in piece.solids
            if solid.surface.glows
        ]
        assert len(middles) == len(lamps)
    assert any(len(scene.lights) > 1 for scene in SCENES)


def test_surfaces_are_listed_side_by_side_then_panels_then_solids():
    scene = SCENES[0]
    listed = surfaces(scene)
    assert tuple(listed[:6]) == scene.room.sides
    assert listed[6] == scene.room.panels[0].surface
    assert listed[-1] == scene.furniture[-1].solids[-1].surface


def test_rooms_vary():
    sizes = np.array([scene.room.size for scene in SCENES])
    assert (sizes.std(axis=0) > (0.5, 0.5, 0.1)).all()
    yaws = np.array([scene.camera.yaw for scene in SCENES])
    assert np.abs(np.exp(1j * yaws).mean()) < 0.4
    assert len({len(scene.furniture) for scene in SCENES}) > 4
