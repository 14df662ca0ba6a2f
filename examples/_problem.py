"""What a runner trains on: data, networks for them, and the usual recipe."""

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import keras
import tensorflow as tf

import keras_selfaux
from keras_selfaux._checks import check_positive

if __package__:
    from examples import _runner
else:
    import _runner

Scores = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """How one task is learned, judged and shown.

    Attributes:
        head: Makes the layer from features to predictions.
        loss: Its loss, as for `compile`.
        metrics: Makes its metrics.
        scores: Which of them are reported, by name, and whether higher is
            better.
        picture: What its labels are in `plots.plot_predictions`, or `None`
            if there is nothing to see.
    """

    head: Callable[[], keras.layers.Layer]
    loss: Any
    scores: Mapping[str, bool]
    metrics: Callable[[], list[keras.metrics.Metric]] = list
    picture: str | None = None


class Data(Protocol):
    """Training, validation and test data.

    Attributes:
        splits: `train`, `validation` and `test`, each once through: arrays
            `(x, y)` or a `tf.data.Dataset` of batches.
        steps_per_epoch: Batches of an epoch of training.
    """

    splits: dict[str, Any]
    steps_per_epoch: int

    def endless(self, split: str) -> tf.data.Dataset:
        """Returns batches for training, shuffled anew and without end."""

    def held_out(self, split: str) -> tf.data.Dataset:
        """Returns batches for evaluation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem(_runner.Settings, abc.ABC):
    """The settings of all runners that train.

    Raises:
        ValueError: If a value is out of its range.
    """

    TITLE: ClassVar[str] = "Test scores"
    """What the table of results is of."""

    epochs: int = _runner.setting(1000, "Epochs of training.")
    batch_size: int = _runner.setting(50, "Samples per step.")
    learning_rate: float = _runner.setting(1e-3, "Learning rate of Adam.")
    jit_compile: bool = _runner.setting(
        True, "Whether to compile the training step with XLA."
    )
    data_dir: str | None = _runner.setting(
        None,
        "Where TensorFlow Datasets keeps its data; ~/tensorflow_datasets if "
        "not given.",
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        for name in ("epochs", "batch_size", "learning_rate"):
            check_positive(name, getattr(self, name))

    @property
    @abc.abstractmethod
    def specs(self) -> dict[str, TaskSpec]:
        """The tasks."""

    @property
    @abc.abstractmethod
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of inputs."""

    @abc.abstractmethod
    def load_data(self) -> Data:
        """Returns the data of all tasks."""

    @abc.abstractmethod
    def stages(self) -> list[keras.layers.Layer]:
        """Returns the encoder's stages."""

    def optimizer(self, num_steps: int) -> keras.optimizers.Optimizer:
        """Returns what trains for this number of steps."""
        del num_steps
        return keras.optimizers.Adam(self.learning_rate)

    @property
    def steps_per_execution(self) -> int | None:
        """As for `compile`; `None` leaves it to the model."""
        return None

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""
        return list(self.specs)

    @property
    def directions(self) -> dict[str, dict[str, bool]]:
        """Whether higher is better, by task and metric."""
        return {task: dict(spec.scores) for task, spec in self.specs.items()}

    def scores(self, logs: Mapping[str, float]) -> Scores:
        """Returns what is reported of the logs of an evaluation."""
        return {
            task: {name: float(logs[f"{task}_{name}"]) for name in spec.scores}
            for task, spec in self.specs.items()
        }

    def rmse(self, logs: Mapping[str, float]) -> Scores:
        """Returns root mean squared errors, for losses that are squares.

        A task's loss is its squared error, pooled over samples.
        """
        return {
            task: {"rmse": math.sqrt(logs[f"{task}_loss"])}
            for task in self.tasks
        }

    def load_graph(self, path: str) -> keras_selfaux.TransferGraph:
        """Reads a graph from a JSON file, which must be of these tasks.

        Raises:
            ValueError: If it is not.
        """
        graph = keras_selfaux.TransferGraph.from_json(path)
        self.check_tasks(path, graph.tasks)
        return graph

    def check_tasks(self, path: str, tasks: Sequence[str]) -> None:
        """Raises unless a file that was read is of these tasks.

        Raises:
            ValueError: If it is not.
        """
        if set(tasks) != set(self.tasks):
            raise _runner.error(
                f"'{path}' must have the tasks {', '.join(self.tasks)}.",
                received=f"tasks={list(tasks)}",
                remedy="Make it for these tasks.",
            )
