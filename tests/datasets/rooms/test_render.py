import math

import numpy as np
import pytest

from keras_selfaux.datasets.rooms import _camera, _draw, _shading
from keras_selfaux.datasets.rooms._geometry import turn
from keras_selfaux.datasets.rooms._render import render
from keras_selfaux.datasets.rooms._scene import (
    ROOM_CLASSES,
    UNLABELLED,
    Box,
    Camera,
    Furniture,
    Light,
    Panel,
    Sphere,
    Surface,
    surfaces,
)
from keras_selfaux.datasets.rooms._textures import Texture
from keras_selfaux.datasets.rooms._trace import Hits, is_lit, trace

HEIGHT, WIDTH = 48, 64
SCENES = [_draw.draw_scene(1, index) for index in range(8)]
GREY = (0.5, 0.5, 0.5)
PLAIN = Surface(ROOM_CLASSES.index("wall"), Texture("plain", GREY, GREY))


def picture_of(scene, height=HEIGHT, width=WIDTH, seed=0):
    return render(scene, height, width, np.random.default_rng(seed))


PICTURES = [picture_of(scene) for scene in SCENES]
BOTH = list(zip(SCENES, PICTURES, strict=True))


def centre_rays(scene, height=HEIGHT, width=WIDTH):
    rows, columns = np.divmod(np.arange(height * width), width)
    return _camera.rays(
        scene.camera, rows + 0.5, columns + 0.5, height=height, width=width
    )


def centre_hits(scene):
    return trace(scene, scene.camera.position, centre_rays(scene))


def backprojected(picture):
    """Points in camera axes, from nothing but what an example has."""
    height, width, _ = picture.depth.shape
    rows, columns = np.mgrid[:height, :width]
    focal = float(picture.focal_length)
    directions = [
        (columns + 0.5 - width / 2) / focal,
        (rows + 0.5 - height / 2) / focal,
        np.ones((height, width)),
    ]
    return np.stack(directions, axis=-1) * picture.depth.astype(np.float64)


@pytest.mark.parametrize(("scene", "picture"), BOTH)
def test_normals_are_those_of_finite_differences_of_depth(scene, picture):
    hits = centre_hits(scene)
    spheres = np.array(
        [False] * (len(scene.room.sides) + len(scene.room.panels))
        + [
            isinstance(solid, Sphere)
            for piece in scene.furniture
            for solid in piece.solids
        ]
    )
    # On one plane: the same surface with the same normal, which is flat.
    surface = np.where(spheres[hits.surfaces], -1, hits.surfaces)
    surface = surface.reshape(HEIGHT, WIDTH)
    normals = picture.normal.astype(np.float64)
    flat = (surface[:-1, :-1] >= 0) & (picture.depth[:-1, :-1, 0] > 0)
    for other in (np.s_[1:, :-1], np.s_[:-1, 1:]):
        flat &= surface[other] == surface[:-1, :-1]
        flat &= (normals[other] == normals[:-1, :-1]).all(axis=-1)
    points = backprojected(picture)
    down = points[1:, :-1] - points[:-1, :-1]
    right = points[:-1, 1:] - points[:-1, :-1]
    # Down times right points to the camera: x right, y down, z forward.
    crossed = np.cross(down, right)[flat]
    measured = crossed / np.linalg.norm(crossed, axis=-1, keepdims=True)
    np.testing.assert_allclose(measured, normals[:-1, :-1][flat], atol=1e-4)
    assert flat.mean() > 0.4


def test_spheres_have_normals_from_their_middle():
    found = 0
    for scene, picture in BOTH:
        hits = centre_hits(scene)
        points = backprojected(picture).reshape(-1, 3)
        index = len(scene.room.sides) + len(scene.room.panels)
        for piece in scene.furniture:
            for solid in piece.solids:
                own = hits.surfaces == index
                index += 1
                if not isinstance(solid, Sphere) or not own.any():
                    continue
                found += own.sum()
                middle = turn(np.array(solid.centre), piece.yaw)
                middle += np.array(piece.position) - scene.camera.position
                outward = points[own] - _camera.axes(scene.camera) @ middle
                np.testing.assert_allclose(
                    outward / solid.radius,
                    picture.normal.reshape(-1, 3)[own],
                    atol=1e-4,
                )
    assert found > 100


@pytest.mark.parametrize(("scene", "picture"), BOTH)
def test_ranges_of_labels(scene, picture):
    assert picture.image.shape == (HEIGHT, WIDTH, 3)
    assert picture.seg.shape == picture.depth.shape == (HEIGHT, WIDTH, 1)
    assert picture.normal.shape == (HEIGHT, WIDTH, 3)
    assert picture.image.dtype == picture.seg.dtype == np.uint8
    assert picture.depth.dtype == picture.normal.dtype == np.float32
    assert picture.focal_length.dtype == np.float32
    assert set(np.unique(picture.seg)) <= {
        *range(len(ROOM_CLASSES)),
        UNLABELLED,
    }
    present = picture.depth[..., 0] > 0
    diagonal = np.linalg.norm(scene.room.size)
    assert picture.depth[present].max() < diagonal
    assert picture.depth[present].min() > 0.3
    lengths = np.linalg.norm(picture.normal, axis=-1)
    np.testing.assert_allclose(lengths[present], 1.0, atol=1e-6)
    assert (lengths[~present] == 0.0).all()
    assert (picture.depth >= 0.0).all()
    facing = np.sum(picture.normal * backprojected(picture), axis=-1)
    assert (facing[present] < 0.0).all()


@pytest.mark.parametrize(("scene", "picture"), BOTH)
def test_missing_exactly_where_there_is_glass(scene, picture):
    listed = surfaces(scene)
    hit = [listed[index] for index in centre_hits(scene).surfaces]
    glass = np.array([surface.is_glass for surface in hit])
    np.testing.assert_array_equal(picture.depth.ravel() == 0.0, glass)
    labels = np.array([surface.label for surface in hit])
    np.testing.assert_array_equal(picture.seg.ravel(), labels)
    assert (labels[glass] == ROOM_CLASSES.index("window")).all()


def test_frames_of_windows_have_a_depth():
    window = ROOM_CLASSES.index("window")
    frames = [
        (picture.depth[picture.seg == window] > 0).mean()
        for picture in PICTURES
        if (picture.seg == window).any()
    ]
    assert len(frames) > 2
    assert 0.0 < np.mean(frames) < 0.6


def test_every_class_occurs_in_a_decent_share_of_pictures():
    pictures = [
        picture_of(_draw.draw_scene(2, index), 24, 32) for index in range(40)
    ]
    labels = np.stack([picture.seg for picture in pictures])
    for label in (*range(len(ROOM_CLASSES)), UNLABELLED):
        occurs = (labels == label).any(axis=(1, 2, 3)).mean()
        assert occurs >= 0.2, label
    shares = [(labels == label).mean() for label in range(len(ROOM_CLASSES))]
    assert max(shares) < 0.6
    assert 0.002 < (labels == UNLABELLED).mean() < 0.05


def test_a_class_has_many_colours():
    # A look-up of the class by the colour alone would do little better than
    # the most frequent class.
    colours = np.concatenate([p.image.reshape(-1, 3) // 32 for p in PICTURES])
    codes = colours @ (1, 8, 64)
    labels = np.concatenate([picture.seg.ravel() for picture in PICTURES])
    half = len(SCENES) // 2 * HEIGHT * WIDTH
    table = np.zeros((512, 256))
    np.add.at(table, (codes[:half], labels[:half]), 1)
    accuracy = (table.argmax(axis=1)[codes[half:]] == labels[half:]).mean()
    frequent = np.bincount(labels[half:]).max() / half
    assert accuracy < frequent + 0.15


def test_rendering_is_deterministic_but_for_its_noise():
    first, again, other = (
        picture_of(SCENES[0], seed=seed) for seed in (0, 0, 1)
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first.image != other.image).mean() > 0.3
    np.testing.assert_array_equal(first.depth, other.depth)
    clean = SCENES[0]._replace(noise=0.0)
    np.testing.assert_array_equal(
        picture_of(clean, seed=0).image, picture_of(clean, seed=1).image
    )


def test_an_edge_is_as_bright_as_the_share_of_rays_on_its_bright_side():
    black, white = (
        PLAIN._replace(texture=Texture("plain", (share,) * 3, GREY))
        for share in (0.0, 1.0)
    )
    scene = empty_room()
    scene = scene._replace(
        room=scene.room._replace(
            sides=(black,) * 6,
            panels=(Panel(1, (1.0, 0.5), (3.0, 2.5), white),),
        ),
        lights=(),
        camera=Camera((0.5, 1.7, 1.3), 0.1, 0.05, 0.3, 1.3),
        noise=0.0,
    )
    image = picture_of(scene).image[..., 0]
    linear = (image / 255.0) ** 2.2
    fifths = 5.0 * linear / linear.max()
    np.testing.assert_allclose(fifths, np.rint(fifths), atol=0.05)
    assert set(np.rint(fifths).ravel()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    # Only where the panel ends.
    assert 0.01 < ((fifths > 0.5) & (fifths < 4.5)).mean() < 0.1


def test_sizes_show_the_same_scene():
    # Every other centre of three times the size is a centre of this size.
    small = picture_of(SCENES[1], 16, 24)
    large = picture_of(SCENES[1], 48, 72)
    middle = np.s_[1::3, 1::3]
    np.testing.assert_allclose(large.depth[middle], small.depth, rtol=1e-5)
    np.testing.assert_array_equal(large.seg[middle], small.seg)
    assert large.focal_length == pytest.approx(3.0 * small.focal_length)


def test_the_camera_s_axes():
    for scene in SCENES:
        right, down, forward = _camera.axes(scene.camera)
        np.testing.assert_allclose(np.cross(right, down), forward, atol=1e-12)
        camera = scene.camera._replace(pitch=0.0, roll=0.0)
        right, down, forward = _camera.axes(camera)
        np.testing.assert_allclose(down, [0.0, 0.0, -1.0], atol=1e-12)
        yaw = camera.yaw
        np.testing.assert_allclose(forward[:2], [math.cos(yaw), math.sin(yaw)])
        _, _, upwards = _camera.axes(camera._replace(pitch=0.3))
        assert upwards[2] == pytest.approx(math.sin(0.3))
        # Clockwise: the camera's right side sinks.
        rolled, _, _ = _camera.axes(camera._replace(roll=0.1))
        assert rolled[2] == pytest.approx(-math.sin(0.1))


def test_focal_length_spans_the_field_of_view():
    camera = SCENES[0].camera
    focal = _camera.focal_length(camera, WIDTH)
    assert 2.0 * math.atan(WIDTH / 2.0 / focal) == pytest.approx(
        camera.field_of_view
    )


def empty_room(*furniture):
    """A grey room of 4 x 4 x 3 m with a light below its ceiling."""
    scene = SCENES[0]
    room = scene.room._replace(
        size=(4.0, 4.0, 3.0), sides=(PLAIN,) * 6, panels=()
    )
    return scene._replace(
        room=room,
        furniture=furniture,
        lights=(Light((2.0, 2.0, 2.8), (1.0, 1.0, 1.0)),),
        ambient=(0.2, 0.2, 0.2),
    )


def box_in_the_air(yaw=0.5):
    solid = Box((-0.5, -0.3, 0.0), (0.5, 0.3, 0.2), PLAIN)
    return Furniture((solid,), (1.5, 2.2, 1.0), yaw)


def floor_points(number=300):
    x, y = np.random.default_rng(0).uniform(0.0, 4.0, (2, number))
    return np.stack([x, y, np.zeros(number)])


def test_shadow_lies_where_the_way_to_the_light_is_blocked():
    piece = box_in_the_air()
    scene = empty_room(piece)
    light = scene.lights[0].position
    points = floor_points()
    (box,) = piece.solids
    # Many places on the way from every point to the light, in the box's axes.
    steps = np.linspace(0.0, 1.0, 2_001)
    way = (
        points[:, :, None]
        + steps * (np.array(light)[:, None] - points)[:, :, None]
    )
    own = turn(way - np.reshape(piece.position, (3, 1, 1)), -piece.yaw)
    inside = (own > np.reshape(box.low, (3, 1, 1))) & (
        own < np.reshape(box.high, (3, 1, 1))
    )
    blocked = inside.all(axis=0).any(axis=-1)
    np.testing.assert_array_equal(is_lit(scene, light, points), ~blocked)
    assert 0.05 < blocked.mean() < 0.95


def test_what_glows_lets_its_own_light_out():
    shade = Sphere((0.0, 0.0, 1.4), 0.2, PLAIN._replace(glows=True))
    opaque = shade._replace(surface=PLAIN)
    points = floor_points()
    middle = (1.0, 2.5, 1.4)
    place = (1.0, 2.5, 0.0)
    glowing = empty_room(Furniture((shade,), place))
    assert is_lit(glowing, middle, points).all()
    # Another light is let through as well, but not by a ball.
    above = empty_room().lights[0].position
    assert is_lit(glowing, above, points).all()
    blocking = empty_room(Furniture((opaque,), place))
    assert 0.0 < is_lit(blocking, above, points).mean() < 1.0


def test_what_glows_is_not_shaded():
    texture = Texture("plain", (0.9, 0.8, 0.7), GREY)
    shade = Sphere((0.0, 0.0, 0.5), 0.4, PLAIN._replace(texture=texture))
    glowing = shade._replace(surface=shade.surface._replace(glows=True))
    origin = (0.5, 0.5, 1.5)
    directions = np.array([[1.5], [1.5], [-1.0]])
    colours = []
    for solid in (shade, glowing):
        scene = empty_room(Furniture((solid,), (2.0, 2.0, 0.0)))
        hits = trace(scene, origin, directions)
        colours.append(_shading.shade(scene, origin, directions, hits)[:, 0])
    np.testing.assert_allclose(colours[1], [0.9, 0.8, 0.7])
    assert (colours[0] < colours[1]).all()


def test_gloss_adds_a_highlight_where_a_mirror_would_show_the_light():
    # The light and the eye are at one height, so the place is halfway.
    points = np.array([[1.25, 2.5], [1.25, 2.5], [0.0, 0.0]])
    glossy = PLAIN._replace(gloss=0.5)
    scene = empty_room()._replace(lights=(Light((2.0, 2.0, 1.5), (1.0,) * 3),))
    shiny = scene._replace(room=scene.room._replace(sides=(glossy,) * 6))
    added = shaded_floor(shiny, points) - shaded_floor(scene, points)
    squares = 1.5**2 + 2.0 * 0.75**2
    np.testing.assert_allclose(added[:, 0], 0.5 / (1.0 + squares / 4.0**2))
    assert (added[:, 1] < 0.5 * added[:, 0]).all()


def test_a_later_panel_covers_an_earlier_one():
    window = ROOM_CLASSES.index("window")
    frame = PLAIN._replace(label=window)
    panels = (
        Panel(1, (1.0, 0.5), (3.0, 2.5), frame),
        Panel(1, (1.5, 1.0), (2.5, 2.0), frame._replace(is_glass=True)),
    )
    scene = empty_room()
    scene = scene._replace(room=scene.room._replace(panels=panels))
    ends = np.array([[4.0, 4.0, 4.0, 0.0], [2.0, 1.2, 0.5, 2.0], [1.5] * 4])
    origin = (2.0, 2.0, 1.5)
    hits = trace(scene, origin, ends - np.reshape(origin, (3, 1)))
    np.testing.assert_allclose(hits.points, ends)
    np.testing.assert_allclose(hits.distances, 1.0)
    # The sides' own surfaces are 0 to 5.
    assert hits.surfaces.tolist() == [7, 6, 1, 0]


def shaded_floor(scene, points):
    count = points.shape[1]
    up = np.repeat([[0.0], [0.0], [1.0]], count, axis=1)
    floor = np.full(count, 4)
    hits = Hits(np.ones(count), points, up, points[:2], floor)
    origin = (0.5, 0.5, 1.5)
    return _shading.shade(
        scene, origin, points - np.reshape(origin, (3, 1)), hits
    )


def test_shadows_darken():
    points = floor_points()
    scene = empty_room(box_in_the_air())
    with_box = shaded_floor(scene, points)
    without = shaded_floor(empty_room(), points)
    lit = is_lit(scene, scene.lights[0].position, points) > 0.0
    np.testing.assert_array_equal(with_box[:, lit], without[:, lit])
    assert (with_box[:, ~lit] < 0.8 * without[:, ~lit]).all()


def test_brightness_follows_lambert():
    points = np.array([[2.0, 3.5], [2.0, 2.0], [0.0, 0.0]])
    dark = empty_room()._replace(ambient=(0.0, 0.0, 0.0))
    red, _, _ = shaded_floor(dark, points)
    squares = np.array([2.8**2, 2.8**2 + 1.5**2])
    cosines = 2.8 / np.sqrt(squares)
    np.testing.assert_allclose(red, 0.5 * cosines / (1.0 + squares / 4.0**2))


def test_glass_shows_the_sky_above_the_ground():
    sky = SCENES[0].sky._replace(
        zenith=(0.0, 0.0, 1.0), horizon=(0.0, 0.0, 1.0), ground=(0.0, 1.0, 0.0)
    )
    angles = np.linspace(-3.0, 3.0, 50)
    up, down = (
        np.stack([np.cos(angles), np.sin(angles), np.full(50, rise)])
        for rise in (0.8, -0.8)
    )
    np.testing.assert_allclose(
        _shading.outside(sky, up), np.repeat([[0.0], [0.0], [1.0]], 50, axis=1)
    )
    red, green, blue = _shading.outside(sky, down)
    assert (green > 0.5).all()
    assert (red == 0.0).all()
    assert (blue == 0.0).all()
