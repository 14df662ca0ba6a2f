"""A room's walls, floor and ceiling, and what lies flush with them."""

import itertools

import numpy as np

from keras_selfaux.datasets.rooms._geometry import Point
from keras_selfaux.datasets.rooms._palette import (
    any_colour,
    mixed,
    scaled,
    textured,
)
from keras_selfaux.datasets.rooms._scene import (
    FLOOR,
    ROOM_CLASSES,
    WALLS,
    Panel,
    Room,
    Surface,
)

_Corner = tuple[float, float]
_FLOORS = ("planks", "planks", "checker", "tiles", "noise", "plain")
_WALLPAPERS = ("plain", "plain", "plain", "stripes", "noise", "bricks", "dots")


def _sides(random: np.random.Generator) -> tuple[Surface, ...]:
    wall, floor, ceiling = map(ROOM_CLASSES.index, ("wall", "floor", "ceiling"))
    paper = textured(
        random, mixed(random, pales=0.65), _WALLPAPERS, (0.12, 0.4)
    )
    walls = [Surface(wall, paper)] * 4
    if random.uniform() < 0.4:
        other = textured(random, any_colour(random), _WALLPAPERS, (0.12, 0.4))
        walls[random.integers(4)] = Surface(wall, other)
    boards = textured(
        random, mixed(random, pales=0.2, woods=0.5), _FLOORS, (0.12, 0.35)
    )
    above = textured(
        random, mixed(random, pales=0.85), ("plain", "plain", "tiles", "planks")
    )
    gloss = random.uniform(0.0, 0.2)
    return (*walls, Surface(floor, boards, gloss), Surface(ceiling, above))


def _framed(
    side: int, low: _Corner, high: _Corner, border: float, *parts: Surface
) -> list[Panel]:
    """Returns a rectangle of the first surface with the second inside it."""
    (left, bottom), (right, top) = low, high
    frame, inside = parts
    inner = (left + border, bottom + border), (right - border, top - border)
    return [Panel(side, low, high, frame), Panel(side, *inner, inside)]


def _window(
    random: np.random.Generator, side: int, low: _Corner, high: _Corner
) -> list[Panel]:
    label = ROOM_CLASSES.index("window")
    frame = Surface(label, textured(random, mixed(random, pales=0.7)))
    glass = frame._replace(is_glass=True)
    (left, bottom), (right, top) = low, high
    columns = int(random.integers(1, 4))
    edges = np.linspace(left, right, columns + 1)
    return [
        panel
        for start, end in itertools.pairwise(edges.tolist())
        for panel in _framed(
            side, (start, bottom), (end, top), 0.05, frame, glass
        )
    ]


def _door(
    random: np.random.Generator, side: int, low: _Corner, high: _Corner
) -> list[Panel]:
    label = ROOM_CLASSES.index("door")
    colour = mixed(random, pales=0.4, woods=0.4)
    leaf = Surface(
        label, textured(random, colour, ("plain", "plain", "planks"))
    )
    frame = Surface(label, textured(random, scaled(colour, 0.6)))
    metal = Surface(label, textured(random, mixed(random, pales=0.8)), 0.5)
    (left, _), (right, top) = low, high
    handle = left + 0.13 if random.uniform() < 0.5 else right - 0.25
    fields = [
        panel
        for bottom, upper in ((0.2, 0.9), (1.15, top - 0.2))
        for panel in _framed(
            side,
            (left + 0.25, bottom),
            (right - 0.25, upper),
            0.03,
            frame,
            leaf,
        )
    ]
    return [
        Panel(side, low, high, frame),
        Panel(side, (left + 0.07, 0.0), (right - 0.07, top - 0.07), leaf),
        *(fields if random.uniform() < 0.6 else []),
        Panel(side, (handle, 1.0), (handle + 0.12, 1.04), metal),
    ]


def _picture(
    random: np.random.Generator, side: int, low: _Corner, high: _Corner
) -> list[Panel]:
    label = ROOM_CLASSES.index("picture")
    frame = Surface(label, textured(random, mixed(random, woods=0.5)))
    canvas = textured(
        random,
        any_colour(random),
        ("noise", "checker", "stripes", "dots", "plain"),
        (0.08, 0.3),
        turned=True,
    )._replace(second=mixed(random, pales=0.3))
    border = random.uniform(0.03, 0.08)
    return _framed(side, low, high, border, frame, Surface(label, canvas, 0.1))


_KINDS = {"window": _window, "door": _door, "picture": _picture}


def _rectangle(
    random: np.random.Generator, kind: str, height: float
) -> tuple[float, float, float]:
    """Returns the width, the lower and the upper edge of something."""
    if kind == "door":
        width, top = random.uniform((0.8, 1.95), (1.0, 2.15))
        return width, 0.0, top
    if kind == "window":
        width, bottom, gap = random.uniform((0.8, 0.6, 0.15), (2.2, 1.0, 0.45))
        return width, bottom, height - gap
    width, bottom, tall = random.uniform((0.4, 1.0, 0.4), (1.2, 1.3, 0.9))
    return width, bottom, bottom + tall


def _on_walls(random: np.random.Generator, size: Point) -> list[Panel]:
    """Returns windows, doors and pictures that do not cover each other."""
    kinds = (
        ["window"] * int(random.integers(1, 4))
        + ["door"] * int(random.integers(1, 3))
        + ["picture"] * int(random.integers(2, 6))
    )
    taken: dict[int, list[tuple[float, float]]] = {side: [] for side in WALLS}
    panels = []
    for kind in kinds:
        width, bottom, top = _rectangle(random, kind, size[2])
        for _ in range(8):
            side = int(random.choice(WALLS))
            # The walls at the ends of x run along y, and the other way round.
            length = size[1 - side // 2]
            left = random.uniform(0.15, length - width - 0.15)
            right = left + width
            if all(
                right + 0.1 < start or end + 0.1 < left
                for start, end in taken[side]
            ):
                taken[side].append((left, right))
                panels += _KINDS[kind](
                    random, side, (left, bottom), (right, top)
                )
                break
    return panels


def _rug(random: np.random.Generator, size: Point) -> list[Panel]:
    """Returns a rug, which belongs to the floor."""
    label = ROOM_CLASSES.index("floor")
    width, depth = random.uniform(1.0, 2.2, 2)
    x = random.uniform(0.1, size[0] - width - 0.1)
    y = random.uniform(0.1, size[1] - depth - 0.1)
    border = Surface(label, textured(random, any_colour(random)))
    patterns = ("noise", "stripes", "checker", "dots", "plain")
    inside = Surface(
        label, textured(random, any_colour(random), patterns, turned=True)
    )
    return _framed(FLOOR, (x, y), (x + width, y + depth), 0.1, border, inside)


def draw_room(random: np.random.Generator) -> Room:
    """Returns an unfurnished room of random size."""
    low, high = (3.5, 3.5, 2.4), (7.0, 7.0, 3.2)
    x, y, z = random.uniform(low, high)
    size = (float(x), float(y), float(z))
    rug = _rug(random, size) if random.uniform() < 0.5 else []
    return Room(size, _sides(random), (*rug, *_on_walls(random, size)))
