"""What a room is made of.

World axes: x and y along the walls, z up; metres. The room fills the box from
(0, 0, 0) to its size.
"""

import functools
from typing import NamedTuple

import numpy as np

from keras_selfaux.datasets.rooms._geometry import Floats, Point
from keras_selfaux.datasets.rooms._textures import Colour, Texture

ROOM_CLASSES = (
    "wall",
    "floor",
    "ceiling",
    "window",
    "door",
    "picture",
    "bed",
    "cabinet",
    "chair",
    "table",
    "ball",
    "lamp",
)
UNLABELLED = 255
"""Label of what belongs to none of `ROOM_CLASSES`."""

# A room's side is 2 * axis, plus one where the axis ends.
WALLS = (0, 1, 2, 3)
FLOOR = 4
CEILING = 5


class Surface(NamedTuple):
    """What something is, and what it looks like."""

    label: int
    """Index into `ROOM_CLASSES`, or `UNLABELLED`."""
    texture: Texture
    gloss: float = 0.0
    """Strength of highlights."""
    is_glass: bool = False
    """Shows what is outside; has neither depth nor normal."""
    glows: bool = False
    """Gives light, so that it neither is shaded nor casts a shadow."""


class Box(NamedTuple):
    """A box with edges along the axes of its piece of furniture."""

    low: Point
    high: Point
    surface: Surface


class Sphere(NamedTuple):
    """A sphere in the coordinates of its piece of furniture."""

    centre: Point
    radius: float
    surface: Surface


Solid = Box | Sphere


class Furniture(NamedTuple):
    """Solids that stand somewhere, turned about the vertical axis."""

    solids: tuple[Solid, ...]
    position: Point = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    """Radians."""


class Panel(NamedTuple):
    """A rectangle flush with a side of the room."""

    side: int
    low: tuple[float, float]
    high: tuple[float, float]
    """Corners in the side's coordinates: (y, z), (x, z) or (x, y)."""
    surface: Surface


class Room(NamedTuple):
    """A box seen from inside, and what lies flush with its sides."""

    size: Point
    sides: tuple[Surface, ...]
    """One surface per side: x = 0, x = size, y = 0, ..., ceiling."""
    panels: tuple[Panel, ...]
    """A later one covers an earlier one."""


class Light(NamedTuple):
    """A point that shines equally in all directions."""

    position: Point
    colour: Colour
    """Brightness at no distance."""


class Sky(NamedTuple):
    """What windows show."""

    zenith: Colour
    horizon: Colour
    ground: Colour
    seed: int


class Camera(NamedTuple):
    """A pinhole camera."""

    position: Point
    yaw: float
    """Where it looks: radians from the x axis towards the y axis."""
    pitch: float
    """Radians; positive looks up."""
    roll: float
    """Radians; positive turns the camera clockwise."""
    field_of_view: float
    """Horizontal, radians."""


class Scene(NamedTuple):
    """All that a picture depends on, but for its size and its noise."""

    room: Room
    furniture: tuple[Furniture, ...]
    lights: tuple[Light, ...]
    ambient: Colour
    sky: Sky
    camera: Camera
    noise: float
    """Standard deviation of the sensor's noise; white is 1."""


def surfaces(scene: Scene) -> list[Surface]:
    """Returns a scene's surfaces: sides, panels, then solids, in order."""
    return [
        *scene.room.sides,
        *(panel.surface for panel in scene.room.panels),
        *(solid.surface for piece in scene.furniture for solid in piece.solids),
    ]


@functools.lru_cache(maxsize=256)
def bounds(piece: Furniture) -> tuple[Floats, Floats]:
    """Returns the least and the greatest corner of a piece in its own axes."""
    corners = []
    for solid in piece.solids:
        if isinstance(solid, Sphere):
            x, y, z = solid.centre
            reach = solid.radius
            corners.append((x - reach, y - reach, z - reach))
            corners.append((x + reach, y + reach, z + reach))
        else:
            corners += [solid.low, solid.high]
    each = list(zip(*corners, strict=True))
    low, high = np.array([(min(axis), max(axis)) for axis in each]).T
    # What is cached must stay as it is.
    low.flags.writeable = high.flags.writeable = False
    return low, high
