"""`StackedLayer`: the weights of N equal layers, for its subclasses to run."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._stacking._kinds._initial import initial_values, is_seeded
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._template import Template
from keras_selfaux._types import Layer, Shape, Tensor


class StackedLayer(keras.layers.Layer):
    """The weights of N equal layers of one kind; subclasses run them.

    A subclass has a `call(inputs, table)`, which applies the modules of row
    g of the table to `inputs[g]`; it may take `training`, too.

    Args:
        templates: N templates of equal config.
        first_index: Number of the first copy, for explicit seeds.
        fresh: Whether to draw new weights even from built templates.

    Attributes:
        treats_samples_alone: Whether a sample's output depends on that
            sample alone.
    """

    treats_samples_alone = True

    def __init__(
        self,
        templates: Sequence[Template],
        *,
        first_index: int = 0,
        fresh: bool = False,
    ) -> None:
        template = templates[0].layer
        super().__init__(
            name=template.name,
            dtype=template.dtype_policy,
            trainable=template.trainable,
            autocast=template.autocast,
        )
        self.count = len(templates)
        self.first_index = first_index
        # Past `__setattr__`, which would look for layers in thousands.
        self.__dict__["_templates"] = list(templates)
        self._fresh = fresh
        self._names: list[str] = []
        self._last_axis: int | None = None

    @staticmethod
    def obstacle(layer: Layer) -> str | None:
        """Returns the setting that keeps a layer of this kind from stacking.

        Args:
            layer: The layer, built or not.

        Returns:
            What follows upon "with", as in "Conv2D with kernel 3x3", or
            `None` where nothing is in the way.
        """
        return None

    def build(self, input_shape: Shape) -> None:
        """Creates the stacked weights for modules of `input_shape`."""
        probe = self._templates[0].copy()
        options = _build_and_watch(probe, input_shape)
        if probe.weights:
            self._last_axis = input_shape[-1]
        given = [
            None if self._fresh else t.initial_weights for t in self._templates
        ]
        for number, variable in enumerate(probe.weights):
            name = variable.name
            self._names.append(name)
            stacked = self.add_weight(
                name=name,
                shape=(self.count, *variable.shape),
                dtype=variable.dtype,
                initializer=initial_values(
                    keras.initializers.get(options[name]["initializer"]),
                    [None if w is None else w[number] for w in given],
                    first_index=self.first_index,
                    seeded=is_seeded(probe, name),
                ),
                regularizer=variable.regularizer,
                # What the layer asked for: a frozen one has made all its
                # variables untrainable, but may be thawed later.
                trainable=options[name].get("trainable", True),
                autocast=options[name].get("autocast", True),
            )
            setattr(self, f"stacked_{name}", stacked)

    def check_fits(self, inputs: Tensor) -> None:
        """Raises unless inputs have the features this was built for.

        A product of other ones may well be one of fewer samples, that have
        more features each.
        """
        found, wanted = inputs.shape[-1], self._last_axis
        if found is not None and wanted is not None and found != wanted:
            raise error(
                f"Layer {self.name!r} cannot take inputs of another shape "
                "than it was built for.",
                received=f"inputs of shape {tuple(inputs.shape[1:])}",
                remedy=f"Pass {wanted} features along the last axis.",
            )

    def aligned(self, name: str, table: AnyTable, rank: int) -> Tensor:
        """Returns a weight as `(G * K, 1, ..., 1, *shape)` of this rank."""
        weight = table.arrange(self, name)
        shape = tuple(weight.shape[2:])
        ones = (1,) * (rank - 1 - len(shape))
        return ops.reshape(weight, (-1, *ones, *shape))

    def has_weight(self, name: str) -> bool:
        """Says whether the layers have a weight of this name."""
        return name in self._names

    @property
    def module_variables(self) -> list[Any]:
        """The stacked variables, in the order of the layer's weights."""
        return [getattr(self, f"stacked_{name}") for name in self._names]

    @property
    def template(self) -> Layer:
        """The layer whose config all modules share."""
        return self._templates[0].layer


def _build_and_watch(
    layer: Layer, input_shape: Shape
) -> dict[str, dict[str, Any]]:
    """Builds a layer; returns the options that each weight was made with.

    A layer may build its weights with other initializers than its arguments
    say: `EinsumDense` adds the axes that count as inputs and outputs.
    """
    found: dict[str, dict[str, Any]] = {}
    add_weight = layer.add_weight

    def watch(*args: Any, **kwargs: Any) -> Any:
        variable = add_weight(*args, **kwargs)
        found[variable.name] = kwargs
        return variable

    layer.__dict__["add_weight"] = watch
    layer.build(input_shape)
    return found
