"""Pictures of predictions, in a file and for TensorBoard."""

import io
import pathlib
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux import plots
from keras_selfaux.datasets import pipeline

if __package__:
    from examples import _runner
    from examples._problem import Data, Problem
else:
    import _runner
    from _problem import Data, Problem

NUM_EXAMPLES = 4
NUM_TIMES = 5
"""How often TensorBoard is given pictures, at most."""


def can_show(problem: Problem) -> bool:
    """Whether there is something to see of every task."""
    return all(spec.picture for spec in problem.specs.values())


def figure(problem: Problem, model: keras.Model, examples: Any) -> Any:
    """Returns the figure of images, truths and predictions."""
    images, labels = examples
    return plots.plot_predictions(
        pipeline.as_pixels(images),
        {task: value.numpy() for task, value in labels.items()},
        model.predict_on_batch(images),
        {task: spec.picture for task, spec in problem.specs.items()},
    )[0, 0].figure


def some(data: Data, split: str) -> Any:
    """Returns the first few examples of a split, as one batch."""
    return next(iter(data.held_out(split).unbatch().batch(NUM_EXAMPLES)))


def draw(
    problem: Problem, model: keras.Model, data: Data, folder: pathlib.Path
) -> None:
    """Draws predictions on test data, if there is something to see."""
    if not can_show(problem):
        return
    path = folder / "predictions.png"
    _runner.save(figure(problem, model, some(data, "test")), path)
    print(f"Drew {path}")


def tensorboard(
    problem: Problem, data: Data, log_dir: pathlib.Path
) -> list[keras.callbacks.Callback]:
    """Returns what logs curves and predictions for TensorBoard."""
    return [
        keras.callbacks.TensorBoard(str(log_dir), write_graph=False),
        PredictionImages(problem, some(data, "validation"), log_dir),
    ]


class PredictionImages(keras.callbacks.Callback):
    """Writes pictures of predictions for TensorBoard, now and then.

    Args:
        problem: The settings of the run.
        examples: Images and labels to show.
        log_dir: Where TensorBoard looks.
    """

    def __init__(
        self, problem: Problem, examples: Any, log_dir: pathlib.Path
    ) -> None:
        super().__init__()
        self._problem = problem
        self._examples = examples
        self._log_dir = log_dir

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        self._writer = tf.summary.create_file_writer(str(self._log_dir))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws, if it is time to."""
        if (epoch + 1) % -(-self.params["epochs"] // NUM_TIMES):
            return
        buffer = io.BytesIO()
        drawn = figure(self._problem, self.model, self._examples)
        _runner.save(drawn, buffer)
        picture = tf.io.decode_png(buffer.getvalue(), channels=3)
        with self._writer.as_default():
            tf.summary.image("predictions", picture[None], step=epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the file."""
        self._writer.close()
