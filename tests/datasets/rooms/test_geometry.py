import math

import numpy as np
import pytest

from keras_selfaux.datasets.rooms import _geometry

LOW, HIGH = (-1.0, 0.5, 0.2), (0.5, 1.5, 2.0)
ORIGIN = np.array([0.3, -2.0, 1.0])


def random_directions(number=400, seed=0):
    """Directions that mostly lead from `ORIGIN` towards the box."""
    random = np.random.default_rng(seed)
    return random.normal((-0.5, 3.0, 0.0), 1.0, (number, 3)).T


def first_face_by_hand(low, high, origin, direction):
    """The least distance at which a ray crosses a face, one ray at a time."""
    found = [math.inf]
    for axis in range(3):
        for plane in (low[axis], high[axis]):
            if direction[axis] == 0.0:
                continue
            distance = (plane - origin[axis]) / direction[axis]
            point = origin + distance * direction
            others = [other for other in range(3) if other != axis]
            if distance > 0.0 and all(
                low[other] <= point[other] <= high[other] for other in others
            ):
                found.append(distance)
    return min(found)


def test_boxes_from_outside_agree_with_one_face_at_a_time():
    directions = random_directions()
    directions[1] = np.abs(directions[1])
    distances = _geometry.enter_box(
        LOW, HIGH, ORIGIN, _geometry.inverse(directions)
    )
    expected = [
        first_face_by_hand(LOW, HIGH, ORIGIN, direction)
        for direction in directions.T
    ]
    np.testing.assert_allclose(distances, expected, rtol=1e-12)
    assert 0.1 < np.isfinite(distances).mean() < 0.9


def test_boxes_from_inside_agree_with_one_face_at_a_time():
    directions = random_directions()
    inside = np.array([0.0, 1.0, 1.0])
    distances = _geometry.leave_box(
        LOW, HIGH, inside, _geometry.inverse(directions)
    )
    expected = [
        first_face_by_hand(LOW, HIGH, inside, direction)
        for direction in directions.T
    ]
    np.testing.assert_allclose(distances, expected, rtol=1e-12)


def test_boxes_behind_are_not_met():
    directions = random_directions()
    directions[1] = -np.abs(directions[1])
    distances = _geometry.enter_box(
        LOW, HIGH, ORIGIN, _geometry.inverse(directions)
    )
    assert np.isinf(distances).all()


def test_rays_along_an_axis():
    directions = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    inverses = _geometry.inverse(directions)
    entered = _geometry.enter_box(LOW, HIGH, ORIGIN, inverses)
    np.testing.assert_allclose(entered, [2.5, np.inf])
    left = _geometry.leave_box(LOW, HIGH, np.array([0.0, 1.0, 1.0]), inverses)
    np.testing.assert_allclose(left, [0.5, 1.0])


def test_spheres_agree_with_the_roots_of_a_polynomial():
    directions = random_directions()
    directions[1] = np.abs(directions[1])
    centre, radius = np.array([0.1, 0.5, 0.8]), 1.1
    distances = _geometry.enter_sphere(centre, radius, ORIGIN, directions)
    away = ORIGIN - centre
    for direction, distance in zip(directions.T, distances, strict=True):
        roots = np.roots(
            [
                direction @ direction,
                2.0 * away @ direction,
                away @ away - radius**2,
            ]
        )
        if np.isreal(roots).all() and roots.real.min() > 0.0:
            assert distance == pytest.approx(roots.real.min(), rel=1e-9)
        else:
            assert distance == math.inf
    assert 0.1 < np.isfinite(distances).mean() < 0.9


def test_spheres_behind_are_not_met():
    directions = -random_directions()
    towards = np.array([[-0.1], [2.5], [-0.2]])
    directions = np.concatenate([directions, -towards, towards], axis=1)
    met = _geometry.enter_sphere(
        ORIGIN + towards[:, 0], 1.1, ORIGIN, directions
    )
    assert np.isinf(met[:-1]).mean() > 0.9
    assert np.isinf(met[-2])
    assert 0.0 < met[-1] < 1.0


def test_no_ray_that_meets_a_sphere_is_left_out():
    directions = random_directions()
    squares = _geometry.square_lengths(directions)
    centre = np.array([0.1, 0.5, 0.8])
    met = _geometry.enter_sphere(centre, 1.1, ORIGIN, directions)
    rays = _geometry.may_meet_sphere(centre, 1.1, ORIGIN, directions, squares)
    np.testing.assert_array_equal(rays, np.flatnonzero(np.isfinite(met)))
    inside = _geometry.may_meet_sphere(centre, 9.0, ORIGIN, directions, squares)
    np.testing.assert_array_equal(inside, np.arange(directions.shape[1]))


def test_faces_of_a_box():
    low, high = np.array(LOW), np.array(HIGH)
    for face in range(6):
        axis, is_high = divmod(face, 2)
        point = (0.3 * low + 0.7 * high)[:, None]
        point[axis] = (high if is_high else low)[axis]
        faces = _geometry.face_of_box(low, high, point)
        assert faces.tolist() == [face]
        normal = np.zeros(3)
        normal[axis] = 1.0 if is_high else -1.0
        np.testing.assert_array_equal(
            _geometry.outward_normals(faces)[:, 0], normal
        )
        np.testing.assert_array_equal(
            _geometry.face_coordinates(faces, point)[:, 0],
            np.delete(point[:, 0], axis),
        )


def test_turning_about_the_vertical_axis():
    points = random_directions(5)
    x, y, z = _geometry.turn(points, math.pi / 2.0)
    np.testing.assert_allclose([x, y, z], [-points[1], points[0], points[2]])
    back = _geometry.turn(_geometry.turn(points, 0.7), -0.7)
    np.testing.assert_allclose(back, points)
