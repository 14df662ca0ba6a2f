from typing import Any

import numpy as np
import pytest

from keras_selfaux.aggregators import MoCo
from tests.aggregators.properties import STEPS, eager, state


def projected(values: np.ndarray) -> np.ndarray:
    """The nearest point of the simplex, by bisection."""
    low, high = values.min() - 1.0, values.max()
    for _ in range(100):
        middle = (low + high) / 2
        is_large = np.maximum(values - middle, 0).sum() > 1
        low, high = (middle, high) if is_large else (low, middle)
    return np.maximum(values - low, 0)


def test_the_first_step() -> None:
    # Y Yᵀ = diag(1, 9), over the mean 5: diag(0.2, 1.8). From (0.5, 0.5),
    # 0.1 times (0.1, 0.9) away is (0.49, 0.41), projected (0.54, 0.46).
    # The update is 2 (0.54 * 1, 0.46 * 3).
    matrix = np.eye(2, 6) * np.array([[1.0], [3.0]])
    steps = eager(MoCo(), 2)
    found = steps(matrix, np.ones(2, "float32"))
    np.testing.assert_allclose(found[:2], [1.08, 2.76], rtol=1e-5)
    np.testing.assert_allclose(
        steps.aggregator.task_weights, [0.54, 0.46], rtol=1e-5
    )


@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_units_do_not_matter_for_the_weights(size: float) -> None:
    steps, scaled = eager(MoCo()), eager(MoCo())
    found = scaled.several([np.float32(size) * m for m in STEPS])
    np.testing.assert_allclose(found / size, steps.several(), rtol=1e-3)
    np.testing.assert_allclose(
        scaled.aggregator.task_weights,
        steps.aggregator.task_weights,
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"beta": 0.9, "gamma": 0.4, "sigma": 0.0},
        {"gamma": 2.0, "sigma": 1.0, "rho": 0.2},  # some weights become 0
    ],
)
def test_several_steps(arguments: dict[str, float]) -> None:
    steps = eager(MoCo(**arguments))
    settings = {"beta": 0.5, "gamma": 0.1, "sigma": 0.5, "rho": 0.0}
    beta, gamma, sigma, rho = {**settings, **arguments}.values()
    average, mass, number = np.zeros((5, 6)), np.zeros(5), np.zeros(5)
    weights = np.full(5, 0.2)
    for step in range(4):
        matrix = STEPS[step % 3].copy()
        if step in (1, 2):  # a task without labels keeps its weight
            matrix[3] = 0.0
        present = np.any(matrix != 0, axis=1)
        number[present] += 1
        new = beta * np.maximum(number, 1) ** -sigma
        moved = average + new[:, None] * (matrix - average)
        average = np.where(present[:, None], moved, average)
        mass = np.where(present, mass + new * (1 - mass), mass)
        rows = average[present] / mass[present, None]
        curvature = rows @ rows.T
        curvature /= np.diagonal(curvature).mean()
        curvature += rho * np.eye(present.sum())
        together = weights[present].sum()
        inner = weights[present] / together
        inner = projected(
            inner - gamma * (step + 1.0) ** -sigma * curvature @ inner
        )
        weights[present] = together * inner
        found = steps(matrix)
        expected = present.sum() * inner @ rows
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            steps.aggregator.task_weights, weights, atol=1e-4
        )
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-5)


def test_weights_go_to_the_min_norm_point() -> None:
    # Of (1, 0) and (0, 2): weights 0.8 and 0.2.
    matrix = np.eye(2, 6) * np.array([[1.0], [2.0]])
    steps = eager(MoCo(gamma=0.5, sigma=0.0), 2)
    for _ in range(30):
        steps(matrix, np.ones(2, "float32"))
    np.testing.assert_allclose(
        steps.aggregator.task_weights, [0.8, 0.2], rtol=1e-3
    )


def test_a_task_without_weight_is_heard_when_it_is_alone() -> None:
    steps = eager(MoCo(gamma=0.1, sigma=0.0), 2)
    steps.aggregator.task_weights.assign([1.0, 0.0])
    alone = np.array([[0.0], [1.0]]) * STEPS[0][:2]
    found = steps(alone, np.ones(2, "float32"))
    np.testing.assert_allclose(found, STEPS[0][1], rtol=1e-5)
    np.testing.assert_array_equal(steps.aggregator.task_weights, [1.0, 0.0])


def test_a_step_without_rows_is_none() -> None:
    steps = eager(MoCo())
    before = state(steps.aggregator)
    steps(0 * STEPS[0])
    for value, expected in zip(state(steps.aggregator), before, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 0.0}, r"`beta` must be a number in \(0, 1\]. Received: "),
        ({"gamma": 0.0}, "`gamma` must be a positive number. Received: "),
        ({"sigma": -1}, "`sigma` must be zero or a positive number. Received"),
        ({"rho": "a"}, "`rho` must be zero or a positive number. Received: "),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MoCo(**arguments)
