"""Pieces of furniture of random shape and colour.

A piece stands on z = 0 of its own axes, in the middle of its base. What has a
back, such as a bed, a chair or a cabinet, has it at the end of the y axis.
"""

import numpy as np

from keras_selfaux.datasets.rooms._palette import (
    any_colour,
    mixed,
    pale,
    scaled,
    textured,
)
from keras_selfaux.datasets.rooms._scene import (
    ROOM_CLASSES,
    UNLABELLED,
    Box,
    Furniture,
    Solid,
    Sphere,
    Surface,
)
from keras_selfaux.datasets.rooms._textures import Texture

_FABRICS = ("plain", "noise", "stripes", "checker", "dots")
_WOODS = ("plain", "plain", "noise", "planks")


def _legs(
    half_x: float, half_y: float, top: float, width: float, surface: Surface
) -> list[Box]:
    """Returns four legs inside the corners of a rectangle."""
    return [
        Box(
            (x - width / 2.0, y - width / 2.0, 0.0),
            (x + width / 2.0, y + width / 2.0, top),
            surface,
        )
        for x in (width / 2.0 - half_x, half_x - width / 2.0)
        for y in (width / 2.0 - half_y, half_y - width / 2.0)
    ]


def draw_table(random: np.random.Generator) -> Furniture:
    """Returns a table: a board on four legs, or on one with a foot."""
    half_x, half_y, height, thickness, leg = random.uniform(
        (0.4, 0.35, 0.45, 0.03, 0.05), (0.9, 0.55, 0.8, 0.07, 0.09)
    )
    label = ROOM_CLASSES.index("table")
    colour = mixed(random, pales=0.2, woods=0.5)
    board = Surface(label, textured(random, colour, _WOODS, (0.1, 0.3)), 0.15)
    frame = Surface(label, textured(random, mixed(random, woods=0.4)))
    under = height - thickness
    solids: list[Solid] = [
        Box((-half_x, -half_y, under), (half_x, half_y, height), board)
    ]
    if random.uniform() < 0.7:
        solids += _legs(half_x - 0.03, half_y - 0.03, under, leg, frame)
    else:
        foot = 0.6 * half_y
        solids += [
            Box((-foot, -foot, 0.0), (foot, foot, 0.04), frame),
            Box((-leg, -leg, 0.04), (leg, leg, under), frame),
        ]
    return Furniture(tuple(solids))


def draw_bed(random: np.random.Generator) -> Furniture:
    """Returns a bed: a frame, a mattress, a blanket, pillows, a headboard."""
    half_x, half_y, frame_top, top, head = random.uniform(
        (0.45, 0.95, 0.2, 0.42, 0.7), (0.95, 1.08, 0.32, 0.6, 1.15)
    )
    label = ROOM_CLASSES.index("bed")
    colour = mixed(random, pales=0.2, woods=0.4)
    frame = Surface(label, textured(random, colour, _WOODS, (0.1, 0.3)))
    sheet = Surface(label, textured(random, mixed(random, pales=0.6)))
    blanket = Surface(
        label, textured(random, any_colour(random), _FABRICS, turned=True)
    )
    back = half_y - 0.05
    solids: list[Solid] = [
        Box((-half_x, -half_y, 0.08), (half_x, back, frame_top), frame),
        Box((-half_x, back, 0.0), (half_x, half_y, head), frame),
        Box(
            (0.03 - half_x, 0.03 - half_y, frame_top),
            (half_x - 0.03, back, top),
            sheet,
        ),
        Box(
            (-half_x, -half_y, frame_top + 0.05),
            (half_x, random.uniform(0.0, 0.45), top + 0.04),
            blanket,
        ),
    ]
    pillows = (0.0,) if half_x < 0.65 else (-half_x / 2.0, half_x / 2.0)
    half = min(0.35, half_x / len(pillows) - 0.06)
    solids += [
        Box((x - half, back - 0.42, top), (x + half, back - 0.05, top + z), s)
        for x in pillows
        for z, s in [(0.12, Surface(label, textured(random, pale(random))))]
    ]
    return Furniture(tuple(solids))


def draw_cabinet(random: np.random.Generator) -> Furniture:
    """Returns a cabinet, low or tall: a body, fronts with gaps, a top."""
    half_x, half_y, height = random.uniform((0.35, 0.2, 0.7), (0.9, 0.32, 2.1))
    label = ROOM_CLASSES.index("cabinet")
    colour = mixed(random, pales=0.35, woods=0.35)
    texture = textured(random, colour, _WOODS, (0.1, 0.3))
    body = Surface(label, texture, 0.05)
    seams = Surface(label, textured(random, scaled(colour, 0.35)))
    knob = Surface(label, textured(random, mixed(random, pales=0.5)), 0.4)
    front = Surface(label, texture, 0.1)
    columns = int(random.integers(1, 4))
    rows = max(1, round(height / random.uniform(0.45, 1.2)))
    solids: list[Solid] = [
        Box((-half_x, -half_y, 0.06), (half_x, half_y, height - 0.03), seams),
        Box(
            (-half_x - 0.015, -half_y - 0.03, height - 0.03),
            (half_x + 0.015, half_y, height),
            body,
        ),
        Box(
            (-half_x - 0.01, 0.01 - half_y, 0.0),
            (-half_x, half_y, height),
            body,
        ),
        Box(
            (half_x, 0.01 - half_y, 0.0), (half_x + 0.01, half_y, height), body
        ),
    ]
    width, tall = 2.0 * half_x / columns, (height - 0.12) / rows
    for x in -half_x + width * np.arange(columns):
        for z in 0.08 + tall * np.arange(rows):
            solids.append(
                Box(
                    (x + 0.02, -half_y - 0.02, z),
                    (x + width - 0.02, -half_y, z + tall - 0.03),
                    front,
                )
            )
            handle = (x + width / 2.0, -half_y - 0.03, z + 0.8 * tall)
            solids.append(Sphere(handle, 0.025, knob))
    return Furniture(tuple(solids))


def draw_chair(random: np.random.Generator) -> Furniture:
    """Returns a chair, or an armchair with a body in place of legs."""
    label = ROOM_CLASSES.index("chair")
    seat = Surface(
        label, textured(random, any_colour(random), _FABRICS, (0.1, 0.25))
    )
    frame = Surface(label, textured(random, mixed(random, woods=0.6)))
    half, height, back, leg = random.uniform(
        (0.2, 0.4, 0.8, 0.03), (0.26, 0.5, 1.05, 0.05)
    )
    if random.uniform() < 0.65:
        return Furniture(
            (
                *_legs(half, half, height, leg, frame),
                Box((-half, -half, height), (half, half, height + 0.05), seat),
                Box((-half, half - 0.05, height), (half, half, back), seat),
            )
        )
    wide = half + random.uniform(0.1, 0.6)
    arm = height + 0.15
    return Furniture(
        (
            Box((-wide, -0.4, 0.06), (wide, 0.4, height - 0.05), seat),
            Box((-wide, 0.2, 0.06), (wide, 0.4, back), seat),
            Box((-wide - 0.15, -0.42, 0.0), (-wide, 0.4, arm), frame),
            Box((wide, -0.42, 0.0), (wide + 0.15, 0.4, arm), frame),
        )
    )


def draw_ball(random: np.random.Generator, size: float = 1.0) -> Furniture:
    """Returns a ball that touches the ground, large for a size of 1."""
    radius = size * random.uniform(0.15, 0.35)
    colour = any_colour(random)
    texture = textured(
        random, colour, ("plain", "stripes", "checker", "noise"), (0.1, 0.2)
    )
    surface = Surface(ROOM_CLASSES.index("ball"), texture, 0.5)
    return Furniture((Sphere((0.0, 0.0, radius), radius, surface),))


def draw_lamp(random: np.random.Generator) -> Furniture:
    """Returns a standing lamp; the last of its solids is what glows."""
    label = ROOM_CLASSES.index("lamp")
    height, radius, foot = random.uniform((1.2, 0.14, 0.12), (1.7, 0.24, 0.2))
    metal = Surface(label, textured(random, any_colour(random)), 0.4)
    green, blue = random.uniform((0.85, 0.6), (1.0, 1.0))
    shine = (1.0, green, blue)
    shade = Surface(label, Texture("plain", shine, shine), glows=True)
    return Furniture(
        (
            Box((-foot, -foot, 0.0), (foot, foot, 0.04), metal),
            Box((-0.02, -0.02, 0.04), (0.02, 0.02, height - radius), metal),
            Sphere((0.0, 0.0, height), radius, shade),
        )
    )


def draw_carton(random: np.random.Generator, size: float = 1.0) -> Furniture:
    """Returns a carton, which has no label; large for a size of 1."""
    half_x, half_y, height = size * random.uniform(
        (0.15, 0.15, 0.2), (0.35, 0.3, 0.6)
    )
    colour = mixed(random, woods=0.5)
    texture = textured(random, colour, ("plain", "stripes"), (0.1, 0.2))
    solid = Box(
        (-half_x, -half_y, 0.0),
        (half_x, half_y, height),
        Surface(UNLABELLED, texture),
    )
    return Furniture((solid,))
