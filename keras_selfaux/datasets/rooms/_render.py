"""Pictures of rooms, with labels for every pixel."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_selfaux.datasets.rooms._camera import axes, focal_length, rays
from keras_selfaux.datasets.rooms._geometry import Floats
from keras_selfaux.datasets.rooms._scene import Scene, surfaces
from keras_selfaux.datasets.rooms._shading import shade
from keras_selfaux.datasets.rooms._trace import Hits, trace

# Where in a pixel further rays go through, besides its centre.
_MORE = ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))
# Neighbouring pixels between which colours differ by this much get these rays;
# in terms of encoded colours, from 0 to 1.
_CONTRAST = 0.1
# Rays that are traced together: few enough for a processor's cache.
_BLOCK = 16_384
_GAMMA = 2.2


class Picture(NamedTuple):
    """A picture with its labels."""

    image: NDArray[np.uint8]
    """Shape `[height, width, 3]`."""
    seg: NDArray[np.uint8]
    """Index into `ROOM_CLASSES` or `UNLABELLED`, `[height, width, 1]`."""
    depth: NDArray[np.float32]
    """Metres along the optical axis, 0 where missing, `[height, width, 1]`."""
    normal: NDArray[np.float32]
    """Unit vectors in camera axes, 0 where missing, `[height, width, 3]`."""
    focal_length: np.float32
    """Pixels."""


def _as_labels(
    scene: Scene, hits: Hits
) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """Returns classes, depths and normals of rays through pixel centres."""
    all_surfaces = surfaces(scene)
    labels = np.array([surface.label for surface in all_surfaces], np.uint8)
    is_glass = np.array([surface.is_glass for surface in all_surfaces])
    present = ~is_glass[hits.surfaces]
    normals = axes(scene.camera) @ hits.normals
    return labels[hits.surfaces], hits.distances * present, normals * present


def _look(
    scene: Scene, rows: Floats, columns: Floats, *, height: int, width: int
) -> tuple[Hits, Floats]:
    """Returns what rays through places `[N]` meet, and colours `[3, N]`."""
    camera = scene.camera
    hits, colours = [], []
    for block in np.array_split(np.arange(len(rows)), -(-len(rows) // _BLOCK)):
        directions = rays(
            camera, rows[block], columns[block], height=height, width=width
        )
        met = trace(scene, camera.position, directions)
        shaded = shade(scene, camera.position, directions, met)
        hits.append(met)
        # Light that is too bright must not spill over an edge.
        colours.append(np.minimum(shaded, 1.0))
    fields = zip(*hits, strict=True)
    return (
        Hits(*(np.concatenate(blocks, axis=-1) for blocks in fields)),
        np.concatenate(colours, axis=-1),
    )


def _at_edges(colours: Floats) -> NDArray[np.bool_]:
    """Returns which pixels of a picture differ much from a neighbour.

    Args:
        colours: Linear, shape `[3, height, width]`.

    Returns:
        Shape `[height, width]`.
    """
    encoded = colours ** (1.0 / _GAMMA)
    edges = np.zeros(colours.shape[1:], np.bool_)
    beside = (np.abs(np.diff(encoded, axis=2)) > _CONTRAST).any(axis=0)
    edges[:, 1:] |= beside
    edges[:, :-1] |= beside
    below = (np.abs(np.diff(encoded, axis=1)) > _CONTRAST).any(axis=0)
    edges[1:] |= below
    edges[:-1] |= below
    return edges


def _develop(
    linear: Floats, noise: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Returns 8-bit colours of light, with the sensor's noise in them."""
    encoded = linear ** (1.0 / _GAMMA)
    encoded += random.normal(0.0, noise, encoded.shape)
    colours: NDArray[np.uint8] = np.clip(
        np.rint(255.0 * encoded), 0, 255
    ).astype(np.uint8)
    return colours


def render(
    scene: Scene, height: int, width: int, random: np.random.Generator
) -> Picture:
    """Returns a picture of a scene.

    Args:
        scene: A furnished room.
        height: Pixels.
        width: Pixels.
        random: Where the sensor's noise comes from.

    Returns:
        The picture, with labels at the centres of its pixels.
    """
    rows, columns = np.divmod(np.arange(height * width), width)
    hits, colours = _look(
        scene, rows + 0.5, columns + 0.5, height=height, width=width
    )
    edges = np.flatnonzero(_at_edges(colours.reshape(3, height, width)))
    if len(edges):
        _, more = _look(
            scene,
            np.concatenate([rows[edges] + y for y, _ in _MORE]),
            np.concatenate([columns[edges] + x for _, x in _MORE]),
            height=height,
            width=width,
        )
        total = colours[:, edges] + more.reshape(3, len(_MORE), -1).sum(axis=1)
        colours[:, edges] = total / (1 + len(_MORE))
    labels, depths, normals = _as_labels(scene, hits)

    def as_picture(pixels: Floats) -> Floats:
        return pixels.reshape(-1, height, width).transpose(1, 2, 0)

    return Picture(
        _develop(as_picture(colours), scene.noise, random),
        labels.reshape(height, width, 1),
        as_picture(depths).astype(np.float32),
        as_picture(normals).astype(np.float32),
        focal_length(scene.camera, width),
    )
