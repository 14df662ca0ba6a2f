"""The arms and their samples, drawn from a fixed seed."""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_ARMS = 100
SAMPLES_PER_ARM = 2_000
NUM_JOINTS = 3

_JOINT_RANGES = ((-np.pi, 0.0), (-np.pi, 0.0), (-np.pi / 2, np.pi / 2))
_SEED = 0


class Samples(NamedTuple):
    """All arms' samples, standardised; sample k is of arm k mod `NUM_ARMS`.

    Means and standard deviations are those of all samples of all arms, so
    that a value means the same whichever arms are used.
    """

    link_lengths: NDArray[np.float64]
    """Shape `[NUM_ARMS, NUM_JOINTS]`."""
    positions: NDArray[np.float32]
    """Standardised end points, shape `[N, 2]`."""
    angles: NDArray[np.float32]
    """Standardised joint angles, shape `[N, NUM_JOINTS]`."""
    position_mean: NDArray[np.float64]
    position_std: NDArray[np.float64]
    angles_mean: NDArray[np.float64]
    """Radians."""
    angles_std: NDArray[np.float64]
    """Radians."""


def end_points(
    angles: NDArray[np.float64], link_lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns where arms reach to.

    Args:
        angles: Shape `[..., joints]`, radians; each is measured from the
            direction of the link before it.
        link_lengths: Shape `[..., joints]`.

    Returns:
        The end points (x, y), shape `[..., 2]`, in the unit of the lengths.
    """
    directions = np.cumsum(angles, axis=-1)
    x = np.sum(link_lengths * np.cos(directions), axis=-1)
    y = np.sum(link_lengths * np.sin(directions), axis=-1)
    return np.stack([x, y], axis=-1)


@functools.cache
def draw_samples() -> Samples:
    """Returns the same samples always; the arrays are read-only."""
    # The order of the draws is part of the data set's definition, and so is
    # this generator, whose stream NumPy has frozen.
    random = np.random.RandomState(_SEED)
    link_lengths = random.uniform(0.0, 1.0, (NUM_ARMS, NUM_JOINTS))
    num_samples = NUM_ARMS * SAMPLES_PER_ARM
    angles = np.stack(
        [random.uniform(low, high, num_samples) for low, high in _JOINT_RANGES],
        axis=-1,
    )
    arms = np.arange(num_samples) % NUM_ARMS
    positions = end_points(angles, link_lengths[arms])
    position_mean, position_std = positions.mean(axis=0), positions.std(axis=0)
    angles_mean, angles_std = angles.mean(axis=0), angles.std(axis=0)
    samples = Samples(
        link_lengths,
        ((positions - position_mean) / position_std).astype(np.float32),
        ((angles - angles_mean) / angles_std).astype(np.float32),
        position_mean,
        position_std,
        angles_mean,
        angles_std,
    )
    for array in samples:
        array.flags.writeable = False
    return samples
