"""A pinhole camera and its rays.

Camera axes: x to the right, y down, z forward, along the optical axis. With a
focal length f in pixels, a pixel in row i and column j, both from 0, looks
along ((j + 0.5 - width / 2) / f, (i + 0.5 - height / 2) / f, 1).
"""

import numpy as np

from keras_selfaux.datasets.rooms._geometry import Floats
from keras_selfaux.datasets.rooms._scene import Camera


def axes(camera: Camera) -> Floats:
    """Returns the camera's x, y and z axis in the world, as rows `[3, 3]`."""
    cosine, sine = np.cos(camera.yaw), np.sin(camera.yaw)
    level, rise = np.cos(camera.pitch), np.sin(camera.pitch)
    forward = np.array([cosine * level, sine * level, rise])
    right = np.array([sine, -cosine, 0.0])
    down = np.cross(forward, right)
    cosine, sine = np.cos(camera.roll), np.sin(camera.roll)
    return np.stack(
        [cosine * right + sine * down, cosine * down - sine * right, forward]
    )


def focal_length(camera: Camera, width: int) -> np.float32:
    """Returns the focal length of pictures of a width, in pixels."""
    return np.float32(width / 2.0 / np.tan(camera.field_of_view / 2.0))


def rays(
    camera: Camera,
    rows: Floats,
    columns: Floats,
    *,
    height: int,
    width: int,
) -> Floats:
    """Returns the directions in which places of the picture look.

    Args:
        camera: The camera.
        rows: Shape `[N]`, in pixels from the picture's upper edge, so that
            the first row's centre is at 0.5.
        columns: Shape `[N]`, in pixels from the picture's left edge.
        height: The picture's height, pixels.
        width: The picture's width, pixels.

    Returns:
        Directions in the world, shape `[3, N]`. Along the optical axis they
        have a length of one, so that a distance in their units is a depth.
    """
    # As precise as the number that goes with the picture: labels and focal
    # length then agree exactly.
    focal = float(focal_length(camera, width))
    x = (columns - width / 2.0) / focal
    y = (rows - height / 2.0) / focal
    directions: Floats = axes(camera).T @ np.stack([x, y, np.ones_like(x)])
    return directions
