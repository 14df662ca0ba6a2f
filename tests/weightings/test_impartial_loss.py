import numpy as np

from keras_selfaux.weightings import ImpartialLoss
from tests.weightings.helpers import TWO, apply, built


def test_two_steps_worked_by_hand() -> None:
    # The derivative of exp(s) l - s by s is ω l - 1. For l = 2: 1, and
    # Adam's first step is its learning rate: s = -0.1, ω = 0.904837. Then
    # 0.809675, and
    #   mean   = (0.9 * 0.1 * 1 + 0.1 * 0.809675) / 0.19 = 0.899829
    #   square = (0.999 * 0.001 * 1 + 0.001 * 0.655573) / 0.001999
    #          = 0.827700
    #   s      = -0.1 - 0.1 * 0.899829 / sqrt(0.827700) = -0.198906
    # For l = 1, what is descended is at its minimum: ω stays at 1.
    weighting = built(ImpartialLoss(learning_rate=0.1), TWO)
    found = [apply(weighting, [2.0, 1.0]) for _ in range(3)]
    wanted = [[1.0, 1.0], [0.904837, 1.0], [np.exp(-0.198906), 1.0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
