"""`LayerStack`: N copies of a layer, batched where possible, else looped."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._rematerialization import plain_call
from keras_selfaux._stacking._kinds import (
    AnyTable,
    Beside,
    PerSample,
    StackedLayer,
    is_random,
    lay_out,
    obstacle,
    stacked_kind,
)
from keras_selfaux._stacking._nodes import Nodes
from keras_selfaux._stacking._products import fan_out, fold
from keras_selfaux._stacking._template import (
    Template,
    build_inner_layers,
    output_of,
    symbolic_input,
)
from keras_selfaux._types import Layer, Shape, Tensor

# One product of many large layers is no faster than a loop over them: each
# keeps the processor busy by itself, and its weights and their gradients
# stay in the cache while they are used. Many small ones are another matter,
# and above some number the size of the graph counts more than the cache.
_LARGEST_STACKED = 2**16
_MOST_LOOPED = 64


class LayerStack(keras.layers.Layer):
    """N copies of a layer that run on given nodes.

    Copies are stacked if the layer is, or is a `Sequential` of, `Dense`,
    `EinsumDense`, convolutions with kernels of size 1, `PReLU`, batch,
    layer, group and RMS normalisation over the last axis, dropout and other
    layers without weights. Anything else is copied N times and looped over,
    and so are up to 64 layers with more than 65,536 entries in one weight.

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
        # Past `__setattr__`, which would look for layers in thousands.
        self.__dict__["_templates"] = list(templates)
        self._first_index = first_index
        self._fresh = fresh
        self.count = len(self._templates)
        self._why_looped = (
            _obstacle(self._templates[0].layer) if stack else "stack=False"
        )
        self.parts: list[Layer] = []
        self.output_spec: Any = None

    @property
    def stacked(self) -> bool:
        """Whether the copies run as one product, which `build` decides."""
        return self._why_looped is None

    def describe(self) -> str:
        """Says in a few words what the copies are and how they run.

        Example: `"3 copies of LSTM, looped (LSTM does not stack)"`.
        """
        layer = self._templates[0].layer
        is_model = isinstance(layer, keras.Model)
        name = layer.name if is_model else type(layer).__name__
        if self.count == 1:
            return f"1 copy of {name}"
        if self._why_looped is None:
            return f"{self.count:,} copies of {name} in one product"
        return f"{self.count:,} copies of {name}, looped ({self._why_looped})"

    def build(self, input_shape: Shape) -> None:
        """Creates the weights of all copies for inputs of this shape."""
        if self.stacked and self.count <= _MOST_LOOPED:
            probe = self._templates[0].copy()
            output_of(probe, input_shape)
            sizes = [math.prod(weight.shape) for weight in probe.weights]
            largest = max(sizes, default=0)
            if largest > _LARGEST_STACKED:
                self._why_looped = (
                    f"a weight has {largest:,} entries: more than "
                    f"{_LARGEST_STACKED:,}"
                )
        # Copies do as their templates, whatever `RematScope` holds now.
        with keras.RematScope(mode=None):
            if self.stacked:
                self._build_stacked(input_shape)
            else:
                self._build_copies(input_shape)
        # A layer that was frozen before it had parts has to tell them.
        for part in self.parts:
            part.trainable = part.trainable and self.trainable

    rematerialized_call = staticmethod(plain_call)

    def _build_copies(self, input_shape: Shape) -> None:
        for number, template in enumerate(self._templates):
            copy = template.copy(self._first_index + number)
            self.output_spec = output_of(copy, input_shape)
            given = [] if self._fresh else _given(template.layer, copy)
            _finish(copy, symbolic_input(input_shape), given)
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
        rows, table = lay_out(reads, modules)
        values = self._run_parts(inputs.take(rows), table, training)
        return Nodes(stacked=values).take(table.places)

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
        pairs = zip(self.parts, second.parts, strict=True)
        if any(one.trainable != other.trainable for one, other in pairs):
            # A frozen layer may do something else than one that trains.
            reads = [group for group in range(groups) for _ in range(fan)]
            return (
                self.run(inputs, range(groups), range(groups), training),
                second.run(inputs, reads, range(second.count), training),
            )
        others = dict(zip(self.parts, second.parts, strict=True))
        values = self._run_parts(inputs, Beside(others, groups, fan), training)
        shape = ops.shape(values)[1:]
        values = ops.reshape(values, (groups, 1 + fan, *shape))
        rest = ops.reshape(values[:, 1:], (groups * fan, *shape))
        return Nodes(stacked=values[:, 0]), Nodes(stacked=rest)

    @property
    def runs_per_sample(self) -> bool:
        """Whether every sample may be given to a module of its own."""
        return self.stacked and all(
            part.treats_samples_alone
            for part in self.parts
            if isinstance(part, StackedLayer)
        )

    @property
    def size_of_copy(self) -> tuple[int, int]:
        """How many weights a stacked copy has, and units in all its layers."""
        kernels = [
            part.module_variables[0].shape
            for part in self.parts
            if isinstance(part, StackedLayer) and part.module_variables
        ]
        units = sum(shape[-1] for shape in kernels)
        return self.count_params() // self.count, units

    def run_per_sample(
        self,
        second: "LayerStack",
        inputs: Tensor,
        modules: Tensor,
        training: bool | None = None,
    ) -> Tensor:
        """Runs one module on each sample, chosen at run time.

        Args:
            second: Another stack of the same template; its copies are
                numbered after those of this one.
            inputs: Tensor of shape `(N, batch, ...)`.
            modules: Integers of shape `(N, batch)`: which module reads
                which sample.
            training: Whether dropout and the like are active.

        Returns:
            Tensor of shape `(N, batch, ...)`.
        """
        shape = ops.shape(inputs)
        samples = ops.reshape(inputs, (-1, 1, *shape[2:]))
        others = dict(zip(self.parts, second.parts, strict=True))
        table = PerSample(others, ops.reshape(modules, (-1,)))
        outputs = self._run_parts(Nodes(stacked=samples), table, training)
        return ops.reshape(outputs, (*shape[:2], *ops.shape(outputs)[2:]))

    def _run_parts(
        self,
        inputs: Nodes,
        table: AnyTable,
        training: bool | None,
    ) -> Tensor:
        """Runs the modules of row g of `table` on node g, for every g."""
        if inputs.mask is not None:
            raise error(
                "Stacked layers cannot follow a layer that masks.",
                received=f"masked features for {self.parts[0].name!r}",
                remedy="Pass stack=False to the encoder and the model.",
            )
        values = inputs.stacked
        for part in self.parts:
            options = _training_option(part, training)
            if isinstance(part, StackedLayer):
                part.check_fits(values)
                values = part(values, table=table, **options)
                table = table.fanned()
                continue
            if is_random(part):  # every copy must draw for itself
                values = fan_out(values, table.width)
                table = table.fanned()
            values = fold(part, values, **options)
        return fan_out(values, table.width)

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

    def set_all_weights(self, weights: Sequence[Sequence[np.ndarray]]) -> None:
        """Sets the weights of all copies, each ordered as in the template."""
        if not self.stacked:
            for part, own in zip(self.parts, weights, strict=True):
                part.set_weights(own)
            return
        columns = zip(*weights, strict=True)
        for variable, values in zip(
            self._stacked_variables(), columns, strict=True
        ):
            variable.assign(np.stack(values))

    def plain_layer(self, module: int, name: str, inputs: Any) -> Layer:
        """Returns an ordinary layer with a snapshot of a copy's weights.

        Args:
            module: Which copy's weights the layer gets.
            name: Name of the new layer.
            inputs: A symbolic tensor to build the layer for.
        """
        layer = self._templates[module].copy(name=name)
        layer(inputs)
        build_inner_layers(layer, inputs)
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
    return layer(inputs, **_training_option(layer, training))


def _training_option(layer: Layer, training: bool | None) -> dict[str, Any]:
    return {"training": training} if layer._call_has_training_arg else {}


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
    with keras.RematScope(mode=None):
        context = InTrainingMode(function)
    context(inputs, training=True)
    return context.result


def _flat_layers(layer: Layer) -> list[Layer]:
    """Returns a layer, or the layers of a possibly nested `Sequential`."""
    if type(layer) is keras.Sequential:
        return [leaf for item in layer.layers for leaf in _flat_layers(item)]
    return [layer]


def _given(source: Layer, copy: Layer) -> list[tuple[Layer, Any]]:
    """Returns those layers of a copy whose weights are given, with these."""
    pairs = zip(_flat_layers(source), _flat_layers(copy), strict=True)
    weights = [(new, Template(old).initial_weights) for old, new in pairs]
    return [(new, values) for new, values in weights if values is not None]


def _finish(
    copy: Layer, inputs: Any, given: Sequence[tuple[Layer, Any]]
) -> None:
    """Builds what is left of a copy; gives its layers their weights.

    What was given is as complete as the copy is now, or wholly complete.
    """
    late = []
    for layer, weights in given:
        if len(weights) == len(layer.weights):
            layer.set_weights(weights)
        else:
            late.append((layer, weights))
    build_inner_layers(copy, inputs)
    for layer, weights in late:
        layer.set_weights(weights)


def _obstacle(layer: Layer) -> str | None:
    """Returns what keeps copies of a layer from stacking, if anything."""
    leaves = _flat_layers(layer)
    if not leaves:
        return "a Sequential without layers"
    return next(filter(None, map(obstacle, leaves)), None)
