"""`FiniteLosses`: stops with an error that names the task."""

import math
from typing import Any

import keras

from keras_selfaux._checks import error


class FiniteLosses(keras.callbacks.Callback):
    """Ends training with an error once a task's loss is NaN or infinite.

    Keras's `TerminateOnNaN` looks at the sum of all losses and ends quietly;
    this names the tasks, the epoch and the step. It looks at the running
    means after every execution of steps, so nothing is computed for it.

    Raises:
        ValueError: In `fit`, if a loss is not finite.

    Example:

    >>> model.fit(x, y, callbacks=[keras_selfaux.callbacks.FiniteLosses()])
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch, for the message."""
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Checks the losses."""
        tasks = [
            task
            for task in self.model.transfer_graph.tasks
            if not math.isfinite(float((logs or {}).get(f"{task}_loss", 0)))
        ]
        if tasks:
            raise error(
                f"The losses of tasks {tasks} are not finite.",
                received=f"NaN or infinity in epoch {self._epoch}, step "
                f"{batch}",
                remedy="Lower the learning rate, clip the gradients "
                "(global_clipnorm), or look for such values in the data.",
            )
