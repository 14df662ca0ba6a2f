"""Procedural textures: two colours, mixed by a pattern over a surface.

A pattern maps places on a surface, in units of the texture's scale, to the
share of the second colour, in [0, 1].
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_selfaux.datasets.rooms._geometry import Floats

Colour = tuple[float, float, float]
"""Shares of red, green and blue light that a surface reflects, linear."""


class Texture(NamedTuple):
    """What a surface looks like; colours are shares of reflected light."""

    pattern: str
    """One of `PATTERNS`."""
    first: Colour
    second: Colour
    scale: float = 1.0
    """Size of the pattern's unit, metres."""
    angle: float = 0.0
    """How far the pattern is turned on its surface, radians."""
    seed: int = 0
    """Tells apart patterns that have chance in them."""


def chance(i: Floats, j: Floats, seed: int) -> Floats:
    """Returns a number in [0, 1) for each lattice point, always the same.

    Args:
        i: Whole numbers.
        j: Whole numbers, of the same shape.
        seed: Tells apart lattices.

    Returns:
        Numbers that look random, of the same shape.
    """
    # A hash with the multipliers' low bits mixed down; overflow is meant.
    mixed: NDArray[np.uint32] = i.astype(np.int64).astype(np.uint32)
    mixed = mixed * np.uint32(0x9E3779B1)
    mixed ^= j.astype(np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
    mixed ^= np.uint32(seed * 0x27D4EB2F & 0xFFFFFFFF)
    for shift in (15, 13):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(16)
    return mixed / 2.0**32


def smooth_noise(u: Floats, v: Floats, seed: int) -> Floats:
    """Returns noise that changes smoothly over a length of one, in [0, 1)."""
    i, j = np.floor(u), np.floor(v)
    s, t = u - i, v - j
    s, t = s * s * (3.0 - 2.0 * s), t * t * (3.0 - 2.0 * t)
    below = chance(i, j, seed) * (1.0 - s) + chance(i + 1, j, seed) * s
    above = chance(i, j + 1, seed) * (1.0 - s) + chance(i + 1, j + 1, seed) * s
    return below * (1.0 - t) + above * t


def _plain(u: Floats, v: Floats, seed: int) -> Floats:
    return np.zeros_like(u)


def _noise(u: Floats, v: Floats, seed: int) -> Floats:
    coarse = smooth_noise(u, v, seed)
    return 0.65 * coarse + 0.35 * smooth_noise(2.7 * u, 2.7 * v, seed + 1)


def _checker(u: Floats, v: Floats, seed: int) -> Floats:
    return (np.floor(u) + np.floor(v)) % 2.0


def _stripes(u: Floats, v: Floats, seed: int) -> Floats:
    return np.floor(u) % 2.0


def _planks(u: Floats, v: Floats, seed: int) -> Floats:
    row = np.floor(u)
    along = v / 6.0 + chance(row, np.zeros_like(row), seed)
    gap = np.minimum(u - row, 6.0 * (along - np.floor(along))) < 0.06
    return np.where(gap, 1.0, 0.7 * chance(row, np.floor(along), seed + 1))


def _tiles(u: Floats, v: Floats, seed: int) -> Floats:
    i, j = np.floor(u), np.floor(v)
    joint = np.minimum(u - i, v - j) < 0.08
    return np.where(joint, 1.0, 0.25 * chance(i, j, seed))


def _bricks(u: Floats, v: Floats, seed: int) -> Floats:
    row = np.floor(v)
    return _tiles(u / 2.0 + 0.5 * (row % 2.0), v, seed)


def _dots(u: Floats, v: Floats, seed: int) -> Floats:
    s, t = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return (s * s + t * t < 0.1).astype(np.float64)


PATTERNS: dict[str, Callable[[Floats, Floats, int], Floats]] = {
    "plain": _plain,
    "noise": _noise,
    "checker": _checker,
    "stripes": _stripes,
    "planks": _planks,
    "tiles": _tiles,
    "bricks": _bricks,
    "dots": _dots,
}


def reflectance(texture: Texture, places: Floats) -> Floats:
    """Returns the colours of places on a surface.

    Args:
        texture: The surface's texture.
        places: Coordinates on the surface, shape `[2, N]`, metres.

    Returns:
        Linear red, green and blue in [0, 1], shape `[3, N]`.
    """
    u, v = places / texture.scale
    if texture.angle:
        cosine, sine = np.cos(texture.angle), np.sin(texture.angle)
        u, v = cosine * u - sine * v, sine * u + cosine * v
    share = PATTERNS[texture.pattern](u, v, texture.seed)
    first = np.asarray(texture.first).reshape(3, 1)
    second = np.asarray(texture.second).reshape(3, 1)
    colours: Floats = first + (second - first) * share
    return colours
