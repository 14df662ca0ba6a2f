"""Chlorophyll in the waters of ten regions: one task per region.

To be told from what water reflects of 16 bands of light. The table must be
fetched by hand; without it, the message says from where, and where to put it.
The recipe is that of RobotArm: three dense layers, two of them shared, Adam,
1,000 epochs.

  python examples/gloria.py --manual_dir=/data
"""

import dataclasses
import functools
import os
from typing import ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_selfaux.architectures import mlp_stages
from keras_selfaux.datasets import load_gloria

if __package__:
    from examples import _experiment, _published, _runner
    from examples._array_data import ArrayData
    from examples._problem import Problem, TaskSpec
else:
    import _experiment
    import _published
    import _runner
    from _array_data import ArrayData
    from _problem import Problem, TaskSpec

NUM_BANDS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gloria(Problem):
    """The settings of GLORIA.

    Raises:
        ValueError: If a value is out of its range.
    """

    TITLE: ClassVar[str] = "Test RMSE (standardised)"

    manual_dir: str | None = _runner.setting(None, _published.MANUAL_DIR_HELP)

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The regions, which the table names."""
        spec = TaskSpec(lambda: keras.layers.Dense(1), "mse", {"rmse": False})
        labels = load(self.data_dir, self.manual_dir)["train"][1]
        return dict.fromkeys(labels, spec)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """A batch of reflectances."""
        return (None, NUM_BANDS)

    def load_data(self) -> ArrayData:
        """Returns the data of all regions."""
        return ArrayData(load(self.data_dir, self.manual_dir), self.batch_size)

    def stages(self) -> list[keras.layers.Layer]:
        """Returns three dense layers."""
        return mlp_stages()

    scores = Problem.rmse


# The tasks are asked for often, and reading takes a second.
load = functools.cache(load_gloria)


Config = _experiment.config_class(
    Gloria,
    "gloria",
    demo={"epochs": 100, "seeds": (0,)},
)
run = _experiment.run


if __name__ == "__main__":
    _runner.main(Config, run)
