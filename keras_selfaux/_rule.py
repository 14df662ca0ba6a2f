"""`Rule`: what weightings and aggregators have in common."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_selfaux._random import load_seeds
from keras_selfaux._rematerialization import plain_call


class Rule(keras.layers.Layer):
    """A part of the compiled state that may learn and draw at random.

    Its variables are float32 whatever the dtype policy, are never trained
    by the network's optimizer, and are saved with the model together with
    the states of its random generators.

    Attributes:
        keeps_rows: Whether it has variables of the rows' shapes, which
            `build_rows` creates.
        shapes_of_rows: For which shapes it did, if it did.
    """

    keeps_rows = False
    shapes_of_rows: tuple[tuple[int, ...], ...] | None = None

    def __init__(self, **kwargs: Any) -> None:
        # float32 whatever the policy: 70,000 overflows float16.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def add_state(
        self, name: str, shape: tuple[int, ...], initializer: Any = "zeros"
    ) -> Any:
        """Creates a float32 variable that no optimizer of a model trains."""
        if isinstance(initializer, (int, float)):
            initializer = keras.initializers.Constant(initializer)
        # Keras takes no more variables once `build` is over, and the shapes
        # of rows are not known before.
        self._tracker.unlock()
        variable = self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False
        )
        if self.built:
            self._tracker.lock()
        return variable

    @property
    def state_variables(self) -> list[Any]:
        """All variables, with those of its optimizer and random generators."""
        optimizers = [
            part
            for part in vars(self).values()
            if isinstance(part, keras.optimizers.Optimizer)
        ]
        found = [
            *self.variables,
            *self._seed_states(),
            *(variable for part in optimizers for variable in part.variables),
        ]
        return list({id(variable): variable for variable in found}.values())

    def build_rows(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Creates variables of the rows' shapes.

        Called once, where `keeps_rows`, when the network is built.

        Args:
            shapes: Those of `Rows.tensors`: K, then a variable's.
        """

    def on_epoch_end(self) -> None:
        """Called by `fit` after each epoch's training."""

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state."""
        config: dict[str, Any] = super().get_config()
        del config["dtype"]
        return config

    def get_build_config(self) -> None:
        """Keeps what it was built for out of files: `compile` builds."""
        return None

    def save_own_variables(self, store: Any) -> None:
        """Saves the state, that of random generators included."""
        super().save_own_variables(store)
        for number, state in enumerate(self._seed_states()):
            store[f"seed_{number}"] = state

    def load_own_variables(self, store: Any) -> None:
        """Loads the state; one that the file lacks starts afresh."""
        seeds = self._seed_states()
        if self.variables and not store.keys():
            warnings.warn(
                f"The file has no state of {self.name!r}: it was saved with "
                "another rule. This one starts afresh.",
                stacklevel=2,
            )
            return
        load_seeds(self.name, seeds, store)
        names = list(store.keys())
        super().load_own_variables(
            {n: store[n] for n in names if not n.startswith("seed_")}
        )

    def _seed_states(self) -> list[Any]:
        return [generator.state for generator in self._seed_generators]

    rematerialized_call = staticmethod(plain_call)
