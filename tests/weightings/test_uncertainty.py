import numpy as np

from keras_selfaux.weightings import Uncertainty
from tests.weightings.helpers import TWO, apply, built


def test_two_steps_worked_by_hand() -> None:
    # With s = -log(2 ω), ds = -d(log ω); the derivative of exp(-s) l / 2 +
    # s / 2 by log ω is ω l - 1/2. For l = 2: 1.5, and Adam's first step is
    # its learning rate: log ω = -0.1, ω = 0.904837. Then 1.309675, and
    #   mean   = (0.9 * 0.1 * 1.5 + 0.1 * 1.309675) / 0.19 = 1.399829
    #   square = (0.999 * 0.001 * 2.25 + 0.001 * 1.715249) / 0.001999
    #          = 1.982491
    #   log ω  = -0.1 - 0.1 * 1.399829 / sqrt(1.982491) = -0.199419
    # For l = 0.5, what is descended is at its minimum: ω stays at 1.
    weighting = built(Uncertainty(learning_rate=0.1), TWO)
    found = [apply(weighting, [2.0, 0.5]) for _ in range(3)]
    wanted = [[1.0, 1.0], [0.904837, 1.0], [np.exp(-0.199419), 1.0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
