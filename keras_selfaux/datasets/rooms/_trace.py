"""What the rays from a point meet first in a scene."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_selfaux.datasets.rooms._geometry import (
    Floats,
    Integers,
    Point,
    column,
    enter_box,
    enter_sphere,
    face_coordinates,
    face_of_box,
    inverse,
    leave_box,
    may_meet_sphere,
    outward_normals,
    square_lengths,
    turn,
)
from keras_selfaux.datasets.rooms._scene import (
    Furniture,
    Room,
    Scene,
    Solid,
    Sphere,
    bounds,
)


class Hits(NamedTuple):
    """Where rays end."""

    distances: Floats
    """Shape `[N]`, in units of the direction's length."""
    points: Floats
    """Shape `[3, N]`, in the world."""
    normals: Floats
    """Unit vectors in the world that face the ray's origin, `[3, N]`."""
    places: Floats
    """Coordinates on the surface for its texture, `[2, N]`, metres."""
    surfaces: Integers
    """Indices into `surfaces(scene)`, shape `[N]`."""


def _enter(
    solid: Solid, origin: Floats, directions: Floats, inverses: Floats
) -> Floats:
    if isinstance(solid, Sphere):
        return enter_sphere(solid.centre, solid.radius, origin, directions)
    return enter_box(solid.low, solid.high, origin, inverses)


def grouped(indices: Integers) -> Iterator[tuple[int, Integers]]:
    """Yields each index from 0 on that occurs, with the places of it."""
    order = np.argsort(indices.astype(np.int16), kind="stable")
    counts = np.bincount(indices[indices >= 0])
    end = int((indices < 0).sum())
    for index in np.flatnonzero(counts).tolist():
        start, end = end, end + int(counts[index])
        yield index, order[start:end]


def nearest_solids(
    furniture: tuple[Furniture, ...],
    origin: Point,
    directions: Floats,
    farthest: Floats,
    *,
    casting: bool = False,
) -> tuple[Floats, Integers]:
    """Returns which solid every ray meets first.

    Args:
        furniture: Pieces of furniture, all of them away from the origin.
        origin: Where all rays start.
        directions: Of any length but zero, shape `[3, N]`.
        farthest: Distances at which the rays end, shape `[N]`.
        casting: Whether only solids that cast a shadow count.

    Returns:
        Distances and the solids' places among all pieces' solids, both `[N]`;
        `farthest` and -1 where a ray meets none.
    """
    distances = farthest.copy()
    solids = np.full(len(distances), -1)
    squares = square_lengths(directions)
    at = np.asarray(origin, np.float64)
    start = 0
    for piece in furniture:
        low, high = bounds(piece)
        middle = turn((low + high) / 2.0, piece.yaw) + piece.position
        radius = float(np.linalg.norm(high - low)) / 2.0
        rays = may_meet_sphere(middle, radius, at, directions, squares)
        if len(rays):
            own_origin = turn(at - piece.position, -piece.yaw)
            own = turn(directions[:, rays], -piece.yaw)
            own_inverse = inverse(own)
            best, which = distances[rays], solids[rays]
            for place, solid in enumerate(piece.solids, start):
                if casting and solid.surface.glows:
                    continue
                entered = _enter(solid, own_origin, own, own_inverse)
                closer = entered < best
                best = np.where(closer, entered, best)
                which[closer] = place
            distances[rays], solids[rays] = best, which
        start += len(piece.solids)
    return distances, solids


def _on_room(room: Room, points: Floats) -> tuple[Floats, Floats, Integers]:
    """Returns normals, places and surfaces of points on the room's sides."""
    sides = face_of_box((0.0, 0.0, 0.0), room.size, points)
    places = face_coordinates(sides, points)
    found = sides.copy()
    for side, own in grouped(sides):
        u, v = places[:, own]
        for index, panel in enumerate(room.panels, start=len(room.sides)):
            if panel.side == side:
                (left, bottom), (right, top) = panel.low, panel.high
                inside = (u >= left) & (u <= right) & (v >= bottom) & (v <= top)
                found[own[inside]] = index
    return -outward_normals(sides), places, found


def _on_solid(
    piece: Furniture, solid: Solid, points: Floats
) -> tuple[Floats, Floats]:
    """Returns normals and places of points on the surface of a solid."""
    own = turn(points - column(piece.position), -piece.yaw)
    if isinstance(solid, Sphere):
        normals = (own - column(solid.centre)) / solid.radius
        x, y, z = normals
        angles = np.stack([np.arctan2(y, x), np.arcsin(np.clip(z, -1.0, 1.0))])
        return turn(normals, piece.yaw), angles * solid.radius
    faces = face_of_box(solid.low, solid.high, own)
    # From the box's corner on, so that a pattern stands still on its box.
    places = face_coordinates(faces, own - column(solid.low))
    return turn(outward_normals(faces), piece.yaw), places


def trace(scene: Scene, origin: Point, directions: Floats) -> Hits:
    """Returns what rays from a point inside the room meet first.

    Args:
        scene: A furnished room.
        origin: Where all rays start: in the room, outside its furniture.
        directions: Of any length but zero, shape `[3, N]`.

    Returns:
        One hit per ray: every ray ends at a side of the room at last.
    """
    room = scene.room
    at_sides = leave_box(
        (0.0, 0.0, 0.0), room.size, np.asarray(origin), inverse(directions)
    )
    distances, solids = nearest_solids(
        scene.furniture, origin, directions, at_sides
    )
    points = column(origin) + distances * directions
    normals, places, found = _on_room(room, points)
    owners = [
        (piece, solid) for piece in scene.furniture for solid in piece.solids
    ]
    for index, own in grouped(solids):
        normals[:, own], places[:, own] = _on_solid(
            *owners[index], points[:, own]
        )
    first = len(room.sides) + len(room.panels)
    found = np.where(solids >= 0, first + solids, found)
    return Hits(distances, points, normals, places, found)


def is_lit(scene: Scene, position: Point, points: Floats) -> Floats:
    """Returns 1 where light from a point arrives and 0 where shadow lies.

    Args:
        scene: A furnished room.
        position: Of the light, in the room.
        points: Points on surfaces, shape `[3, N]`.

    Returns:
        Shape `[N]`.
    """
    # Rays from the light to the points, since all rays must share an origin.
    # They end just before the points, which must not shade themselves.
    almost = np.full(points.shape[1], 1.0 - 1e-9)
    _, solids = nearest_solids(
        scene.furniture,
        position,
        points - column(position),
        almost,
        casting=True,
    )
    return (solids < 0).astype(np.float64)
