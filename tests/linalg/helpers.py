"""Gramians to solve for, and exact solvers on the CPU to compare with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import nnls

# The smaller problems of one comparison are rows of this many, masked, so
# that each solver is compiled once for all sizes.
SIZE = 10

# Compared with exact solvers: a sample always, many where time allows.
COUNTS = pytest.mark.parametrize(
    "count", [30, pytest.param(1000, marks=pytest.mark.slow)]
)

Problems = list[tuple[np.ndarray, np.ndarray]]


def gramians(number: int, *, seed: int = 0) -> Problems:
    """Returns float32 Gramians, padded with NaN, and their masks.

    Sizes are 2 to 10, ranks 1 to the size, scales 1e-6 to 1e6. In every
    second one, lengths of rows differ by up to 1e3.
    """
    generator = np.random.default_rng(seed)
    problems = []
    for index in range(number):
        size = int(generator.integers(2, SIZE + 1))
        rank = int(generator.integers(1, size + 1))
        rows = generator.normal(size=(size, rank)) * 10 ** (
            generator.uniform(-3, 3)
        )
        if index % 2:
            rows *= 10 ** generator.uniform(-3, 0, size=(size, 1))
        present = np.zeros(SIZE, bool)
        present[generator.permutation(SIZE)[:size]] = True
        padded = np.full((SIZE, SIZE), np.nan, np.float32)
        padded[np.ix_(present, present)] = rows @ rows.T
        problems.append((padded, present))
    return problems


def of_present(gramian: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Returns the present part in float64."""
    return gramian[np.ix_(present, present)].astype("float64")


def factor(gramian: np.ndarray) -> np.ndarray:
    """Returns F with `F'F` the Gramian, without eigenvalues below 0."""
    lengths = np.sqrt(np.diag(gramian))
    values, vectors = np.linalg.eigh(gramian / np.outer(lengths, lengths))
    return (np.sqrt(np.maximum(values, 0))[:, None] * vectors.T) * lengths


def semidefinite(gramian: np.ndarray) -> np.ndarray:
    """Returns the Gramian without what rounding puts below 0."""
    rows = factor(gramian)
    return rows.T @ rows


def least_nonnegative(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the x >= 0 with the shortest `matrix x - right`, exactly."""
    lengths = np.linalg.norm(matrix, axis=0)
    return nnls(matrix / lengths, right, maxiter=1000)[0] / lengths


def in_all_modes(function: Callable) -> list[Callable]:
    """Returns a function run eagerly, in a graph, and compiled by XLA."""
    return [
        function,
        tf.function(function),
        tf.function(function, jit_compile=True),
    ]


def numpy(result: Any) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(part) for part in result)
