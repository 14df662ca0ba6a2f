"""`LayerStack`: N copies of a layer, batched where possible, else looped."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._stacking._kinds import (
    Beside,
    StackedLayer,
    Table,
    folds,
    is_random,
    stacked_kind,
)
from keras_selfaux._stacking._nodes import Nodes
from keras_selfaux._stacking._products import fan_out, fold
from keras_selfaux._stacking._template import Template, output_of
from keras_selfaux._types import Layer, Shape

# One product of many large layers is no faster than a loop over them: each
# keeps the processor busy by itself, and its weights and their gradients
# stay in the cache while they are used. Many small ones are another matter,
# and above some number the size of the graph counts more than the cache.
_LARGEST_STACKED = 2**16
_MOST_LOOPED = 64


class LayerStack(keras.layers.Layer):
    """N copies of a layer that run on given nodes.

    Copies are stacked if the layer is, or is a `Sequential` of, `Dense`,
    `EinsumDense`, convolutions with kernels of size 1,
    `LayerNormalization` over the last axis, dropout and other layers
    without weights. Anything else is copied N times and looped over, and
    so are up to 64 layers with more than 65,536 entries in one weight.

    Args:
        templates: One template per copy, all of the same config. A copy of
            a built template starts from the template's weights.
        stack: Whether to stack where possible. Defaults to `True`.
        first_index: Number of the first copy; explicit seeds are shifted by
            a copy's number. Defaults to 0.
        fresh: Whether copies of built templates start from fresh weights
            all the same. Defaults to `False`.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        *,
        stack: bool = True,
        first_index: int = 0,
        fresh: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._templates = list(templates)
        self._first_index = first_index
        self._fresh = fresh
        self.count = len(self._templates)
        self.stacked = stack and _stacks(self._templates[0].layer)
        self.parts: list[Layer] = []
        self.output_spec: Any = None

    def build(self, input_shape: Shape) -> None:
        """Creates the weights of all copies for inputs of this shape."""
        if self.stacked and self.count <= _MOST_LOOPED:
            probe = self._templates[0].copy()
            output_of(probe, input_shape)
            sizes = [math.prod(weight.shape) for weight in probe.weights]
            self.stacked = max(sizes, default=0) <= _LARGEST_STACKED
        if self.stacked:
            self._build_stacked(input_shape)
        else:
            self._build_copies(input_shape)

    def _build_copies(self, input_shape: Shape) -> None:
        for number, template in enumerate(self._templates):
            copy = template.copy(self._first_index + number)
            self.output_spec = output_of(copy, input_shape)
            if not self._fresh:
                _copy_built(template.layer, copy)
            self.parts.append(copy)

    def _build_stacked(self, input_shape: Shape) -> None:
        columns = zip(
            *(_flat_layers(template.layer) for template in self._templates),
            strict=True,
        )
        shape, dtype = input_shape, ""
        for layers in columns:
            kind = stacked_kind(layers[0])
            if kind is None:
                part = Template(layers[0]).copy(self._first_index)
            else:
                part = kind(
                    [Template(layer) for layer in layers],
                    first_index=self._first_index,
                    fresh=self._fresh,
                )
                part.build(shape)
            self.parts.append(part)
            shape, dtype = output_of(Template(layers[0]).copy(), shape)
        self.output_spec = shape, dtype

    def run(
        self,
        inputs: Nodes,
        reads: Sequence[int],
        modules: Sequence[int],
        training: bool | None = None,
    ) -> Nodes:
        """Runs module `modules[i]` on node `reads[i]`, for every i.

        Args:
            inputs: The nodes that the modules read.
            reads: Numbers of the nodes that are read, one per result.
            modules: Numbers of the modules that read them, one per result.
            training: Whether dropout and the like are active.

        Returns:
            As many nodes as `reads` has entries.
        """
        if not self.stacked:
            return Nodes(
                items=[
                    call_layer(self.parts[module], inputs[read], training)
                    for read, module in zip(reads, modules, strict=True)
                ]
            )
        if inputs.mask is not None:
            raise error(
                "Stacked layers cannot follow a layer that masks.",
                received=f"masked features for {self.parts[0].name!r}",
                remedy="Pass stack=False to the encoder and the model.",
            )
        used = sorted(set(reads))
        number = {read: i for i, read in enumerate(used)}
        table, order = _arrange([number[read] for read in reads], modules)
        values = inputs.take(used).stacked
        for part in self.parts:
            if isinstance(part, StackedLayer):
                values = part(values, table=table)
                table = [[module] for row in table for module in row]
                continue
            if is_random(part):  # every copy must draw for itself
                values = fan_out(values, len(table[0]))
                table = [[module] for row in table for module in row]
            kwargs = {"training": training} if is_random(part) else {}
            values = fold(part, values, **kwargs)
        values = fan_out(values, len(table[0]))
        return Nodes(stacked=values).take(order)

    def run_beside(
        self,
        second: "LayerStack",
        inputs: Nodes,
        training: bool | None = None,
    ) -> tuple[Nodes, Nodes]:
        """Runs this stack and another one of the same template as one.

        Args:
            second: The other stack, with K times as many copies.
            inputs: As many nodes as this stack has copies: copy g reads
                node g, and so do copies gK to gK + K - 1 of the other one.
            training: Whether dropout and the like are active.

        Returns:
            The results of this stack and those of the other one.
        """
        groups, fan = self.count, second.count // self.count
        values, fanned = inputs.stacked, False
        for part, other in zip(self.parts, second.parts, strict=True):
            if isinstance(part, StackedLayer):
                table = Beside(other, groups, fan, fanned=fanned)
                values, fanned = part(values, table=table), True
                continue
            if is_random(part) and not fanned:
                values, fanned = fan_out(values, 1 + fan), True
            kwargs = {"training": training} if is_random(part) else {}
            values = fold(part, values, **kwargs)
        if not fanned:
            values = fan_out(values, 1 + fan)
        shape = ops.shape(values)[1:]
        values = ops.reshape(values, (groups, 1 + fan, *shape))
        rest = ops.reshape(values[:, 1:], (groups * fan, *shape))
        return Nodes(stacked=values[:, 0]), Nodes(stacked=rest)

    def module_weights(self, module: int) -> list[np.ndarray]:
        """Returns a copy's weights, ordered as in the template."""
        if not self.stacked:
            weights: list[np.ndarray] = self.parts[module].get_weights()
            return weights
        return [
            ops.convert_to_numpy(variable)[module]
            for variable in self._stacked_variables()
        ]

    def set_module_weights(
        self, module: int, weights: Sequence[np.ndarray]
    ) -> None:
        """Sets a copy's weights, ordered as in the template."""
        if not self.stacked:
            self.parts[module].set_weights(weights)
            return
        variables = self._stacked_variables()
        for variable, value in zip(variables, weights, strict=True):
            values = np.array(ops.convert_to_numpy(variable))
            values[module] = value
            variable.assign(values)

    def plain_layer(self, module: int, name: str, inputs: Any) -> Layer:
        """Returns an ordinary layer with a snapshot of a copy's weights.

        Args:
            module: Which copy's weights the layer gets.
            name: Name of the new layer.
            inputs: A symbolic tensor to build the layer for.
        """
        layer = self._templates[module].copy(name=name)
        layer(inputs)
        layer.set_weights(self.module_weights(module))
        return layer

    def _stacked_variables(self) -> list[Any]:
        return [
            variable
            for part in self.parts
            if isinstance(part, StackedLayer)
            for variable in part.module_variables
        ]


def call_layer(layer: Layer, inputs: Any, training: bool | None) -> Any:
    """Calls a layer, handing on `training` if it takes that argument."""
    if layer._call_has_training_arg:
        return layer(inputs, training=training)
    return layer(inputs)


class InTrainingMode(keras.layers.Layer):
    """Runs a function as Keras runs the `call` of a layer in training.

    Layers whose parent does not hand on `training` find it in the context
    that only a layer's `__call__` opens.

    Args:
        function: What to run, with the inputs as its argument.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(autocast=False)
        self.function = function
        self.result: Any = None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Runs the function; its result is kept in `result`."""
        # Past `__setattr__`, which would wrap and track what it finds.
        self.__dict__["result"] = self.function(inputs)
        return inputs


def run_in_training_mode(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Returns `function(inputs)`, with `training=True` as the context."""
    context = InTrainingMode(function)
    context(inputs, training=True)
    return context.result


def _flat_layers(layer: Layer) -> list[Layer]:
    """Returns a layer, or the layers of a possibly nested `Sequential`."""
    if type(layer) is keras.Sequential:
        return [leaf for item in layer.layers for leaf in _flat_layers(item)]
    return [layer]


def _copy_built(source: Layer, copy: Layer) -> None:
    """Gives a copy the weights of those layers that were built before."""
    for old, new in zip(_flat_layers(source), _flat_layers(copy), strict=True):
        weights = Template(old).initial_weights
        if weights is not None:
            new.set_weights(weights)


def _stacks(layer: Layer) -> bool:
    leaves = _flat_layers(layer)
    return bool(leaves) and all(
        stacked_kind(leaf) is not None or folds(leaf) for leaf in leaves
    )


def _arrange(
    reads: Sequence[int], modules: Sequence[int]
) -> tuple[Table, list[int]]:
    """Lays out who reads what as a rectangle, one row per input.

    Inputs that fewer modules read than others repeat their first module;
    those results are dropped again.

    Returns:
        The table of modules, and for each entry of `reads` the place of its
        result in the flattened table.
    """
    rows: list[list[int]] = [[] for _ in range(max(reads) + 1)]
    places = []
    for read, module in zip(reads, modules, strict=True):
        places.append((read, len(rows[read])))
        rows[read].append(module)
    width = max(map(len, rows))
    table = [row + [row[0]] * (width - len(row)) for row in rows]
    return table, [read * width + column for read, column in places]
