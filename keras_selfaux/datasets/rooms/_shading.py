"""What colour the hits of rays have."""

import numpy as np

from keras_selfaux.datasets.rooms._geometry import (
    Floats,
    Point,
    column,
    dot,
    square_lengths,
)
from keras_selfaux.datasets.rooms._scene import (
    Light,
    Scene,
    Sky,
    surfaces,
)
from keras_selfaux.datasets.rooms._textures import (
    reflectance,
    smooth_noise,
)
from keras_selfaux.datasets.rooms._trace import Hits, grouped, is_lit

# At this distance a light has half its brightness, metres. Walls throw light
# back, so that it falls off more slowly than in the open.
_REACH = 4.0
# Highlights fall off with this power of two of a cosine.
_SQUARINGS = 5


def outside(sky: Sky, directions: Floats) -> Floats:
    """Returns what a window shows: hills under a sky with clouds.

    Args:
        sky: Its colours.
        directions: Rays in the world, shape `[3, N]`.

    Returns:
        Linear red, green and blue, shape `[3, N]`.
    """
    x, y, z = directions / np.sqrt(square_lengths(directions))
    around = np.arctan2(y, x) * 4.0
    hills = 0.25 * smooth_noise(around, np.zeros_like(around), sky.seed) - 0.1
    height = np.clip(z, 0.0, 1.0) ** 0.5
    clouds = 0.6 * smooth_noise(around, 12.0 * z, sky.seed + 1) ** 2
    blue = column(sky.horizon) * (1.0 - height) + column(sky.zenith) * height
    above = blue * (1.0 - clouds) + column(sky.horizon) * clouds
    below = column(sky.ground) * (
        0.6 + 0.6 * smooth_noise(3.0 * around, 20.0 * z, sky.seed + 2)
    )
    return np.where(z > hills, above, below)


def _shine(
    scene: Scene, light: Light, hits: Hits, origin: Point
) -> tuple[Floats, Floats]:
    """Returns how much of a light surfaces scatter and mirror, `[N]` each."""
    towards = column(light.position) - hits.points
    squares = square_lengths(towards)
    towards /= np.sqrt(squares)
    arriving = is_lit(scene, light.position, hits.points) / (
        1.0 + squares / _REACH**2
    )
    incidence = dot(towards, hits.normals).clip(0.0)
    arriving *= incidence > 0.0
    back = column(origin) - hits.points
    halfway = towards + back / np.sqrt(square_lengths(back))
    halfway /= np.sqrt(square_lengths(halfway))
    mirrored = dot(halfway, hits.normals).clip(0.0)
    for _ in range(_SQUARINGS):
        mirrored *= mirrored
    return arriving * incidence, arriving * mirrored


def shade(
    scene: Scene, origin: Point, directions: Floats, hits: Hits
) -> Floats:
    """Returns the light that comes back along rays.

    Args:
        scene: A furnished room.
        origin: Where the rays start.
        directions: The rays, shape `[3, N]`.
        hits: What they meet.

    Returns:
        Linear red, green and blue, shape `[3, N]`; white is 1.
    """
    # Light from nowhere comes rather from above, and a little from one side,
    # so that edges show in the shadow too.
    x, _, z = hits.normals
    scattered = column(scene.ambient) * (1.0 + 0.2 * z + 0.1 * x)
    mirrored = np.zeros_like(scattered)
    for light in scene.lights:
        scatter, mirror = _shine(scene, light, hits, origin)
        scattered = scattered + column(light.colour) * scatter
        mirrored = mirrored + column(light.colour) * mirror
    colours: Floats = np.empty_like(scattered)
    all_surfaces = surfaces(scene)
    for index, own in grouped(hits.surfaces):
        surface = all_surfaces[index]
        if surface.is_glass:
            colours[:, own] = outside(scene.sky, directions[:, own])
            continue
        shares = reflectance(surface.texture, hits.places[:, own])
        lit = 1.0 if surface.glows else scattered[:, own]
        colours[:, own] = shares * lit + surface.gloss * mirrored[:, own]
    return colours
