"""Random colours and textures.

Kinds of things prefer colours, but every kind may have almost any: what
something is cannot be told from its colour alone.
"""

import colorsys
from collections.abc import Sequence

import numpy as np

from keras_selfaux.datasets.rooms._textures import Colour, Texture


def _from_hue(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def any_colour(random: np.random.Generator) -> Colour:
    """Returns a colour of any hue."""
    hue, saturation, value = random.uniform((0, 0.1, 0.1), (1, 0.8, 0.85))
    return _from_hue(hue, saturation, value)


def pale(random: np.random.Generator) -> Colour:
    """Returns a light colour with little hue."""
    hue, saturation, value = random.uniform((0, 0.0, 0.55), (1, 0.25, 0.9))
    return _from_hue(hue, saturation, value)


def wood(random: np.random.Generator) -> Colour:
    """Returns a brown between dark and light."""
    hue, saturation, value = random.uniform(
        (0.04, 0.35, 0.12), (0.11, 0.7, 0.7)
    )
    return _from_hue(hue, saturation, value)


def mixed(
    random: np.random.Generator, *, pales: float = 0.0, woods: float = 0.0
) -> Colour:
    """Returns a pale or wooden colour with these chances, else any colour."""
    share = random.uniform()
    if share < pales:
        return pale(random)
    return wood(random) if share < pales + woods else any_colour(random)


def scaled(colour: Colour, factor: float) -> Colour:
    """Returns a colour made darker or, up to white, lighter."""
    red, green, blue = (min(factor * share, 1.0) for share in colour)
    return red, green, blue


def textured(
    random: np.random.Generator,
    colour: Colour,
    patterns: Sequence[str] = ("plain",),
    scale: tuple[float, float] = (0.2, 0.5),
    *,
    turned: bool = False,
) -> Texture:
    """Returns a texture of a colour and a second one.

    Args:
        random: Where chance comes from.
        colour: The first colour.
        patterns: Names to draw from.
        scale: Least and greatest size of the pattern's unit, metres.
        turned: Whether the pattern may stand at any angle.

    Returns:
        A texture whose second colour is a shade of the first, or sometimes
        another colour.
    """
    factors = (0.45, 0.6, 0.75, 1.4)
    other = scaled(colour, factors[random.integers(len(factors))])
    if random.uniform() < 0.25:
        other = any_colour(random)
    pattern = patterns[int(random.integers(len(patterns)))]
    return Texture(
        pattern,
        first=colour,
        second=other,
        scale=random.uniform(*scale),
        angle=random.uniform(0.0, np.pi) if turned else 0.0,
        seed=int(random.integers(2**31)),
    )
