import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._linalg import pseudo_solve, spectrum
from tests.linalg import helpers

spectra = helpers.in_all_modes(spectrum)
solvers = helpers.in_all_modes(pseudo_solve)
EPSILON = np.finfo("float32").eps


@helpers.COUNTS
def test_random_gramians(count: int) -> None:
    generator = np.random.default_rng(0)
    for gramian, present in helpers.gramians(count):
        part = helpers.of_present(gramian, present)
        size = len(part)
        values, vectors, kept = helpers.numpy(spectra[2](gramian, present))
        wanted, basis = np.linalg.eigh(part)
        largest = wanted.max()
        np.testing.assert_array_equal(values[:-size], 0)
        np.testing.assert_allclose(
            values[-size:], wanted, rtol=1e-6, atol=1e-12 * largest
        )
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(10), atol=1e-5)
        restored = ((vectors * values) @ vectors.T)[np.ix_(present, present)]
        np.testing.assert_allclose(restored, part, atol=2e-6 * largest)
        wanted_kept = wanted > EPSILON * size * largest
        np.testing.assert_array_equal(kept[-size:], wanted_kept)
        assert not kept[:-size].any()

        vector = generator.normal(size=10).astype("float32")
        solved = solvers[1](gramian, present, vector).numpy()
        assert np.all(solved[~present] == 0)
        along = basis[:, wanted_kept]
        expected = along @ (along.T @ vector[present] / wanted[wanted_kept])
        np.testing.assert_allclose(
            solved[present], expected, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_by_hand(scale: float) -> None:
    # Eigenvalues 1 and 3, along (1, -1) and (1, 1).
    gramian = np.float32([[2, 1], [1, 2]]) * np.float32(scale)
    present = np.ones(2, bool)
    values, vectors, kept = spectra[1](gramian, present)
    np.testing.assert_allclose(values, [scale, 3 * scale], rtol=1e-6)
    np.testing.assert_allclose(np.abs(vectors), 0.5**0.5, rtol=1e-6)
    np.testing.assert_array_equal(kept, [True, True])
    # 2 * 1 + 1 * 2 = 4, 1 + 2 * 2 = 5
    solved = solvers[1](gramian, present, np.float32([4, 5]))
    np.testing.assert_allclose(solved, np.array([1, 2]) / scale, rtol=1e-5)


def test_singular() -> None:
    # Along (1, -1) only, with the eigenvalue 2: (3, 1) has 2 / sqrt(2) there.
    gramian = np.float32([[1, -1], [-1, 1]])
    values, _, kept = spectra[1](gramian, np.ones(2, bool))
    np.testing.assert_allclose(values, [0, 2], atol=1e-7)
    np.testing.assert_array_equal(kept, [False, True])
    solved = solvers[1](gramian, np.ones(2, bool), np.float32([3, 1]))
    np.testing.assert_allclose(solved, [0.5, -0.5], atol=1e-6)


def test_zeros() -> None:
    zeros, present = np.zeros((2, 2), "float32"), np.ones(2, bool)
    values, _, kept = spectra[1](zeros, present)
    np.testing.assert_array_equal(values, [0, 0])
    np.testing.assert_array_equal(kept, [False, False])
    solved = solvers[1](zeros, present, np.float32([1, 1]))
    np.testing.assert_array_equal(solved, [0, 0])


def test_one_row() -> None:
    one = np.float32([[4]])
    values, vectors, kept = spectra[1](one, np.ones(1, bool))
    np.testing.assert_allclose(values, [4])
    np.testing.assert_allclose(np.abs(vectors), [[1]])
    assert kept[0]
    solved = solvers[1](one, np.ones(1, bool), np.float32([2]))
    np.testing.assert_allclose(solved, [0.5])


def test_absent_rows_come_first_as_unit_vectors() -> None:
    gramian = np.float32([[1, np.nan, -1], [np.nan, np.inf, 0], [-1, 0, 1]])
    present = np.array([True, False, True])
    values, vectors, kept = spectra[1](gramian, present)
    np.testing.assert_allclose(values, [0, 0, 2], atol=1e-7)
    np.testing.assert_array_equal(kept, [False, False, True])
    np.testing.assert_allclose(np.abs(vectors[:, 0]), [0, 1, 0], atol=1e-7)
    solved = solvers[1](gramian, present, np.float32([3, np.nan, 1]))
    np.testing.assert_allclose(solved, [0.5, 0, -0.5], atol=1e-6)


def test_modes_agree() -> None:
    vector = tf.range(10.0)
    for gramian, present in helpers.gramians(3, seed=1):
        eager, *others = (run(gramian, present, vector) for run in solvers)
        for other in others:
            size = np.abs(eager).max()
            np.testing.assert_allclose(other, eager, atol=1e-6 * size)
        eager, *others = (
            helpers.numpy(run(gramian, present)) for run in spectra
        )
        for other in others:
            size = eager[0].max()
            np.testing.assert_allclose(other[0], eager[0], atol=1e-7 * size)
            np.testing.assert_array_equal(other[2], eager[2])


def test_none_is_present() -> None:
    absent = np.zeros(2, bool)
    values, _, kept = spectra[1](np.ones((2, 2)), absent)
    np.testing.assert_array_equal(values, [0, 0])
    assert not np.any(kept)
    solved = solvers[1](np.ones((2, 2)), absent, np.ones(2))
    np.testing.assert_array_equal(solved, [0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad: float) -> None:
    gramian = np.diag([1, bad] + [1] * 8).astype("float32")
    present = np.ones(10, bool)
    for solve, find in zip(solvers, spectra, strict=True):
        assert np.all(np.isnan(solve(gramian, present, np.ones(10, "float32"))))
        values, vectors, kept = find(gramian, present)
        assert np.all(np.isnan(values))
        assert np.all(np.isfinite(vectors))
        assert not np.any(kept)
    vector = np.float32([1, bad])
    solved = solvers[1](np.float32(np.eye(2)), np.ones(2, bool), vector)
    assert np.all(np.isnan(solved))
