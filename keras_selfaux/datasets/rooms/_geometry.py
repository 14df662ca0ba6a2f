"""Where straight rays first meet boxes and spheres.

All rays of a call share one origin. Arrays hold their components first,
`[3, N]`, so that every operation runs over contiguous memory. Distances are in
units of the direction's length: a ray reaches `origin + distance * direction`.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Point = tuple[float, float, float]

# Stands for a zero component of a direction, so that it can be divided by.
_TINY = 1e-200
# A column per face.
_OUTWARD = np.repeat(np.eye(3), 2, axis=1) * np.tile([-1.0, 1.0], 3)


def column(point: Point | Floats) -> Floats:
    """Returns a point in the shape `[3, 1]`, to combine with `[3, N]`."""
    return np.asarray(point, np.float64).reshape(3, 1)


def inverse(directions: Floats) -> Floats:
    """Returns 1 / directions, and huge numbers in place of infinite ones."""
    return 1.0 / np.where(directions == 0.0, _TINY, directions)


def square_lengths(directions: Floats) -> Floats:
    """Returns the squared lengths of vectors `[3, N]`, shape `[N]`."""
    return dot(directions, directions)


def dot(first: Floats, second: Floats) -> Floats:
    """Returns the inner products of vectors `[3, N]`, shape `[N]`."""
    products: Floats = np.einsum("in,in->n", first, second)
    return products


def leave_box(
    low: Point | Floats, high: Point | Floats, origin: Floats, inverses: Floats
) -> Floats:
    """Returns how far it is to the surface of a box from inside it.

    Args:
        low: The box's least corner.
        high: The box's greatest corner.
        origin: A point inside the box, shape `[3]`.
        inverses: `inverse(directions)`, shape `[3, N]`.

    Returns:
        Distances, shape `[N]`.
    """
    ahead = np.where(
        inverses > 0.0, column(high - origin), column(low - origin)
    )
    distances: Floats = (ahead * inverses).min(axis=0)
    return distances


def enter_box(
    low: Point | Floats, high: Point | Floats, origin: Floats, inverses: Floats
) -> Floats:
    """Returns how far it is to the surface of a box from outside it.

    Args:
        low: The box's least corner.
        high: The box's greatest corner.
        origin: A point outside the box, shape `[3]`.
        inverses: `inverse(directions)`, shape `[3, N]`.

    Returns:
        Distances, shape `[N]`; infinite where a ray misses the box.
    """
    at_low = column(low - origin) * inverses
    at_high = column(high - origin) * inverses
    near = np.minimum(at_low, at_high).max(axis=0)
    far = np.maximum(at_low, at_high).min(axis=0)
    return np.where((near < far) & (near > 0.0), near, np.inf)


def enter_sphere(
    centre: Point | Floats, radius: float, origin: Floats, directions: Floats
) -> Floats:
    """Returns how far it is to a sphere from outside it.

    Args:
        centre: The sphere's centre.
        radius: The sphere's radius.
        origin: A point outside the sphere, shape `[3]`.
        directions: Of any length but zero, shape `[3, N]`.

    Returns:
        Distances, shape `[N]`; infinite where a ray misses the sphere.
    """
    towards = centre - origin
    along = towards @ directions
    squares = square_lengths(directions)
    outside = towards @ towards - radius**2
    discriminant = along**2 - outside * squares
    hit = (discriminant > 0.0) & (along > 0.0)
    roots = np.sqrt(np.where(hit, discriminant, 0.0))
    return np.where(hit, (along - roots) / squares, np.inf)


def may_meet_sphere(
    centre: Point | Floats,
    radius: float,
    origin: Floats,
    directions: Floats,
    squares: Floats,
) -> Integers:
    """Returns which rays meet a ball that may also contain their origin.

    Args:
        centre: The ball's centre.
        radius: The ball's radius.
        origin: Any point, shape `[3]`.
        directions: Of any length but zero, shape `[3, N]`.
        squares: `square_lengths(directions)`, shape `[N]`.

    Returns:
        Indices of these rays, ascending.
    """
    towards = centre - origin
    outside = towards @ towards - radius**2
    if outside <= 0.0:
        return np.arange(directions.shape[1])
    along = towards @ directions
    return np.flatnonzero((along > 0.0) & (along**2 >= outside * squares))


def face_of_box(
    low: Point | Floats, high: Point | Floats, points: Floats
) -> Integers:
    """Returns on which face of a box its surface's points lie.

    Args:
        low: The box's least corner.
        high: The box's greatest corner.
        points: Points on the surface, shape `[3, N]`.

    Returns:
        Faces, shape `[N]`: 2 * axis for a face through the least corner,
        2 * axis + 1 for one through the greatest.
    """
    low, high = column(low), column(high)
    relative = (points - (low + high) / 2.0) / (high - low)
    axes = np.abs(relative).argmax(axis=0)
    chosen = relative[axes, np.arange(len(axes))]
    faces: Integers = 2 * axes + (chosen > 0.0)
    return faces


def outward_normals(faces: Integers) -> Floats:
    """Returns the outward unit normals of a box's faces, shape `[3, N]`."""
    normals: Floats = _OUTWARD[:, faces]
    return normals


def face_coordinates(faces: Integers, points: Floats) -> Floats:
    """Returns a face's two own coordinates of points, shape `[2, N]`."""
    axes = faces // 2
    x, y, z = points
    return np.stack([np.where(axes == 0, y, x), np.where(axes == 2, y, z)])


def turn(points: Floats, yaw: float) -> Floats:
    """Returns points `[3, ...]` turned about the vertical axis by radians."""
    x, y, z = points
    cosine, sine = math.cos(yaw), math.sin(yaw)
    # In C order, which picking out rays does not always give.
    turned = np.empty(points.shape)
    turned[0] = cosine * x - sine * y
    turned[1] = sine * x + cosine * y
    turned[2] = z
    return turned
