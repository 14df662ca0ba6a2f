"""Random furnished rooms with a camera and light."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_selfaux.datasets.rooms._furniture import (
    draw_ball,
    draw_bed,
    draw_cabinet,
    draw_carton,
    draw_chair,
    draw_lamp,
    draw_table,
)
from keras_selfaux.datasets.rooms._geometry import Point, turn
from keras_selfaux.datasets.rooms._scene import (
    Camera,
    Furniture,
    Light,
    Room,
    Scene,
    Sky,
    Sphere,
    bounds,
)
from keras_selfaux.datasets.rooms._textures import Colour
from keras_selfaux.datasets.rooms._walls import draw_room

# Nothing stands closer to the camera than this, along x or along y; metres.
CLEARANCE = 0.8
_ATTEMPTS = 20
# Between a piece of furniture and a wall, metres.
_GAP = 0.02

# Kind, least and greatest number in a room, and whether it stands at a wall.
# Large things come first, while there is room for them.
_KINDS = (
    (draw_bed, 0, 2, True),
    (draw_cabinet, 1, 3, True),
    (draw_table, 1, 3, False),
    (draw_chair, 2, 5, False),
    (draw_lamp, 0, 2, False),
    (draw_ball, 1, 3, False),
    (draw_carton, 1, 3, False),
)


class Footprint(NamedTuple):
    """An upright rectangle on the floor; metres along x and y."""

    left: float
    near: float
    right: float
    far: float

    def moved(self, x: float, y: float) -> "Footprint":
        """Returns the same rectangle elsewhere."""
        return Footprint(
            self.left + x, self.near + y, self.right + x, self.far + y
        )


def generator(*key: int) -> np.random.Generator:
    """Returns a source of chance that depends on nothing but its key."""
    return np.random.Generator(np.random.PCG64(key))


def footprint(piece: Furniture) -> Footprint:
    """Returns the least upright rectangle around what a piece covers."""
    low, high = bounds(piece)
    half_x, half_y, _ = (high - low) / 2.0
    cosine, sine = abs(np.cos(piece.yaw)), abs(np.sin(piece.yaw))
    wide = float(cosine * half_x + sine * half_y)
    deep = float(sine * half_x + cosine * half_y)
    middle = turn((low + high) / 2.0, piece.yaw) + piece.position
    x, y, _ = middle.tolist()
    return Footprint(x - wide, y - deep, x + wide, y + deep)


def overlap(first: Footprint, second: Footprint) -> bool:
    """Returns whether two upright rectangles share a point."""
    return (
        first.left <= second.right
        and second.left <= first.right
        and first.near <= second.far
        and second.near <= first.far
    )


def _draw_camera(random: np.random.Generator, size: Point) -> Camera:
    """Returns a camera that has some of the room ahead."""
    while True:
        x, y, z, yaw = random.uniform(
            (0.4, 0.4, 1.2, -np.pi), (size[0] - 0.4, size[1] - 0.4, 1.8, np.pi)
        )
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        aims = np.where(ahead > 0.0, size[:2], 0.0) - (x, y)
        if (aims / ahead).min() > 0.55 * max(size[:2]):
            break
    pitch, roll, field = random.uniform(
        (-0.35, -0.06, np.radians(58)), (0.06, 0.06, np.radians(82))
    )
    return Camera((x, y, z), yaw, pitch, roll, field)


def _place(
    random: np.random.Generator,
    piece: Furniture,
    size: Point,
    taken: list[Footprint],
    *,
    at_wall: bool,
) -> Furniture | None:
    """Returns a piece at a free place, which is then taken, if one is found."""
    yaw = random.uniform(-np.pi, np.pi)
    if at_wall:
        yaw = random.integers(4) * np.pi / 2.0
    ground = footprint(piece._replace(yaw=yaw))
    least = (_GAP - ground.left, _GAP - ground.near)
    most = (size[0] - _GAP - ground.right, size[1] - _GAP - ground.far)
    places = random.uniform(least, most, (_ATTEMPTS, 2))
    if at_wall:
        # The back, at the end of the piece's y axis, goes to a wall.
        back = (-np.sin(yaw), np.cos(yaw))
        axis = int(abs(back[1]) > 0.5)
        places[:, axis] = (most if back[axis] > 0.0 else least)[axis]
    for x, y in places.tolist():
        covered = ground.moved(x, y)
        if not any(overlap(covered, other) for other in taken):
            taken.append(covered)
            return piece._replace(position=(x, y, 0.0), yaw=yaw)
    return None


def _on_top(random: np.random.Generator, table: Furniture) -> Furniture:
    """Returns something small that stands on a table."""
    draw = draw_carton if random.uniform() < 0.4 else draw_ball
    x, y = random.uniform(-0.2, 0.2, 2)
    height = bounds(table)[1][2]
    place = turn(np.array([x, y, height]), table.yaw) + table.position
    return draw(random, 0.5)._replace(
        position=(float(place[0]), float(place[1]), float(place[2])),
        yaw=random.uniform(-np.pi, np.pi),
    )


def _furnish(
    random: np.random.Generator, size: Point, camera: Camera
) -> Iterator[Furniture]:
    """Yields pieces that overlap neither each other nor the camera's place."""
    x, y, _ = camera.position
    free = Footprint(-CLEARANCE, -CLEARANCE, CLEARANCE, CLEARANCE)
    taken = [free.moved(x, y)]
    for draw, least, most, at_wall in _KINDS:
        for _ in range(random.integers(least, most + 1)):
            piece = _place(random, draw(random), size, taken, at_wall=at_wall)
            if piece is not None:
                yield piece
                if draw is draw_table and random.uniform() < 0.5:
                    yield _on_top(random, piece)


def _draw_lights(
    random: np.random.Generator, room: Room, furniture: tuple[Furniture, ...]
) -> tuple[Light, ...]:
    """Returns a light below the ceiling and one in every lamp."""

    def shine(least: float, most: float) -> Colour:
        warmth, power = random.uniform((0.0, least), (0.35, most))
        return power, power * (1.0 - 0.4 * warmth), power * (1.0 - warmth)

    x, y, below = random.uniform(
        (0.2 * room.size[0], 0.2 * room.size[1], 0.08),
        (0.8 * room.size[0], 0.8 * room.size[1], 0.15),
    )
    lights = [Light((x, y, room.size[2] - below), shine(0.6, 1.2))]
    for piece in furniture:
        for solid in piece.solids:
            if isinstance(solid, Sphere) and solid.surface.glows:
                at = turn(np.asarray(solid.centre), piece.yaw) + piece.position
                lights.append(
                    Light(
                        (float(at[0]), float(at[1]), float(at[2])),
                        shine(0.2, 0.6),
                    )
                )
    return tuple(lights)


def _draw_sky(random: np.random.Generator) -> Sky:
    """Returns a sky between noon and night, with something green below."""
    brightness = random.choice((1.0, 0.8, 0.5, 0.05))
    zenith = random.uniform((0.15, 0.3, 0.6), (0.5, 0.6, 1.0)) * brightness
    horizon = random.uniform((0.6, 0.6, 0.6), (1.0, 0.9, 1.0)) * brightness
    ground = random.uniform((0.05, 0.15, 0.02), (0.4, 0.4, 0.2)) * brightness
    return Sky(
        tuple(zenith.tolist()),
        tuple(horizon.tolist()),
        tuple(ground.tolist()),
        int(random.integers(2**31)),
    )


def draw_scene(*key: int) -> Scene:
    """Returns a furnished room, always the same for the same key.

    Args:
        *key: Whole numbers that tell apart scenes, such as a seed, a split
            and an index.

    Returns:
        A room with furniture, light and a camera that stands free.
    """
    random = generator(*key)
    room = draw_room(random)
    camera = _draw_camera(random, room.size)
    furniture = tuple(_furnish(random, room.size, camera))
    ambient = random.uniform(0.2, 0.4) * random.uniform(0.85, 1.0, 3)
    return Scene(
        room,
        furniture,
        _draw_lights(random, room, furniture),
        tuple(ambient.tolist()),
        _draw_sky(random),
        camera,
        noise=random.uniform(0.005, 0.03),
    )
