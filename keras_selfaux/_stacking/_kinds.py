"""The kinds of layers that stack, and how each runs as one product.

A stacked layer holds the weights of N equal layers with a leading axis of
length N. It is called with `inputs` of shape `(G, batch, ...)` and a
`table` of G rows of K module numbers: row g lists the modules that read
input g. The result has shape `(G * K, batch, ...)`, row by row.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._stacking._nodes import take_static
from keras_selfaux._stacking._products import fan_out, fan_out_matmul, fold
from keras_selfaux._stacking._template import Template
from keras_selfaux._types import Layer, Shape, Tensor

Table = Sequence[Sequence[int]]


class Beside:
    """A table for two stacks at once: each input feeds 1 + K modules.

    Module g of the first stack and modules gK to gK + K - 1 of the second
    read input g. No weight is gathered for it, hence none scattered in the
    gradient.

    Args:
        second: The layer of the second stack.
        groups: The number G of inputs.
        fan: K, how many modules of the second stack read each input.
        fanned: Whether each module has its own input already.
    """

    def __init__(
        self, second: "StackedLayer", groups: int, fan: int, *, fanned: bool
    ) -> None:
        self.second = second
        self.groups = groups
        self.fan = fan
        self.fanned = fanned

    @property
    def width(self) -> int:
        """How many modules read one input."""
        return 1 if self.fanned else 1 + self.fan

    def arrange(self, name: str, first: Tensor) -> Tensor:
        """Returns both stacks' weights as `(G, 1 + K, ...)`."""
        second = ops.convert_to_tensor(getattr(self.second, f"stacked_{name}"))
        shape = tuple(first.shape[1:])
        rows = (
            ops.reshape(first, (self.groups, 1, *shape)),
            ops.reshape(second, (self.groups, self.fan, *shape)),
        )
        both = ops.concatenate(rows, axis=1)
        return ops.reshape(both, (-1, 1, *shape)) if self.fanned else both


class StackedLayer(keras.layers.Layer):
    """The weights of N equal layers of one kind; subclasses run them.

    Args:
        templates: N templates of equal config.
        first_index: Number of the first copy, for explicit seeds.
        fresh: Whether to draw new weights even from built templates.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        *,
        first_index: int = 0,
        fresh: bool = False,
    ) -> None:
        template = templates[0].layer
        super().__init__(name=template.name, dtype=template.dtype_policy)
        self.count = len(templates)
        self.first_index = first_index
        self._templates = list(templates)
        self._fresh = fresh
        self._names: list[str] = []

    def build(self, input_shape: Shape) -> None:
        """Creates the stacked weights for modules of `input_shape`."""
        probe = self._templates[0].copy()
        initializers = _build_and_watch(probe, input_shape)
        given = [
            None if self._fresh else t.initial_weights for t in self._templates
        ]
        for number, variable in enumerate(probe.weights):
            self._names.append(variable.name)
            stacked = self.add_weight(
                name=variable.name,
                shape=(self.count, *variable.shape),
                dtype=variable.dtype,
                initializer=self._initializer(
                    initializers[variable.name],
                    [None if w is None else w[number] for w in given],
                ),
                regularizer=variable.regularizer,
                trainable=variable.trainable,
            )
            setattr(self, f"stacked_{variable.name}", stacked)

    def _initializer(
        self, own: Any, given: Sequence[Any]
    ) -> Callable[..., Tensor]:
        """Returns what gives the initial value of a stacked weight.

        Args:
            own: The layer's own initializer of this weight.
            given: Per copy, the value to start from, or `None`.
        """
        seed = getattr(own, "seed", None)

        def draw(module: int, shape: Shape, dtype: str | None) -> Tensor:
            if type(seed) is int:  # it would give the same at every call
                own.seed = seed + self.first_index + module
            return ops.convert_to_tensor(own(shape, dtype=dtype))

        def initialize(shape: Shape, dtype: str | None = None) -> Tensor:
            if type(own) in _CONSTANT and all(w is None for w in given):
                value = draw(0, shape[1:], dtype)
                return ops.broadcast_to(value[None], shape)
            return ops.stack(
                [
                    draw(module, shape[1:], dtype)
                    if value is None
                    else ops.cast(value, dtype)
                    for module, value in enumerate(given)
                ]
            )

        return initialize

    def arranged(self, name: str, table: Table | Beside) -> Tensor:
        """Returns a weight as `(G, K, ...)`, laid out by `table`."""
        weight = getattr(self, f"stacked_{name}")
        if isinstance(table, Beside):
            return table.arrange(name, ops.convert_to_tensor(weight))
        modules = [module for row in table for module in row]
        values = take_static(ops.convert_to_tensor(weight), modules)
        return ops.reshape(
            values, (len(table), len(table[0]), *weight.shape[1:])
        )

    def aligned(self, name: str, table: Table | Beside, rank: int) -> Tensor:
        """Returns a weight as `(G * K, 1, ..., 1, *shape)` of this rank."""
        weight = self.arranged(name, table)
        shape = tuple(weight.shape[2:])
        ones = (1,) * (rank - 1 - len(shape))
        return ops.reshape(weight, (-1, *ones, *shape))

    @property
    def module_variables(self) -> list[Any]:
        """The stacked variables, in the order of the layer's weights."""
        return [getattr(self, f"stacked_{name}") for name in self._names]

    @property
    def template(self) -> Layer:
        """The layer whose config all modules share."""
        return self._templates[0].layer


class StackedDense(StackedLayer):
    """N `Dense` layers or convolutions with kernels of size 1."""

    def call(self, inputs: Tensor, table: Table | Beside) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        kernel = self.arranged("kernel", table)
        kernel = ops.reshape(kernel, (*kernel.shape[:2], *kernel.shape[-2:]))
        outputs = fan_out_matmul(inputs, kernel)
        if self.template.use_bias:
            rank = len(outputs.shape)
            outputs = outputs + self.aligned("bias", table, rank)
        return self.template.activation(outputs)


class StackedEinsumDense(StackedLayer):
    """N `EinsumDense` layers."""

    def call(self, inputs: Tensor, table: Table | Beside) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        inputs = fan_out(inputs, _width(table))
        kernel = self.arranged("kernel", table)
        kernel = ops.reshape(kernel, (-1, *kernel.shape[2:]))
        left, right, output = _einsum_operands(self.template.equation)
        stack = next(c for c in "nmklzyxw" if c not in left + right + output)
        outputs = ops.einsum(
            f"{stack}{left},{stack}{right}->{stack}{output}", inputs, kernel
        )
        if "bias" in self._names:
            rank = len(outputs.shape)
            outputs = outputs + self.aligned("bias", table, rank)
        if self.template.activation is not None:
            outputs = self.template.activation(outputs)
        return outputs


class StackedLayerNormalization(StackedLayer):
    """N `LayerNormalization` layers over the last axis."""

    def __init__(self, templates: Sequence[Template], **kwargs: Any) -> None:
        super().__init__(templates, **kwargs)
        config = self.template.get_config()
        config = {**config, "axis": -1, "scale": False, "center": False}
        self.normalize = type(self.template).from_config(config)

    def call(self, inputs: Tensor, table: Table | Beside) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        outputs = fan_out(fold(self.normalize, inputs), _width(table))
        rank = len(outputs.shape)
        if "gamma" in self._names:
            outputs = outputs * self.aligned("gamma", table, rank)
        if "beta" in self._names:
            outputs = outputs + self.aligned("beta", table, rank)
        return outputs


def _width(table: Table | Beside) -> int:
    return table.width if isinstance(table, Beside) else len(table[0])


def stacked_kind(layer: Layer) -> type[StackedLayer] | None:
    """Returns the class that runs copies of `layer` as one, if there is one.

    Args:
        layer: A Keras layer. Subclasses of Keras's layers do not stack: they
            may compute anything.
    """
    kind = _KINDS.get(type(layer))
    if kind is None or not _has_plain_weights(layer):
        return None
    if kind is StackedDense and hasattr(layer, "kernel_size"):
        sizes = (*layer.kernel_size, *layer.strides, layer.groups)
        pointwise = all(size == 1 for size in sizes)
        last = layer.data_format == "channels_last"
        return kind if pointwise and last else None
    if kind is StackedLayerNormalization and layer.axis not in (-1, [-1]):
        return None
    return kind


def folds(layer: Layer) -> bool:
    """Says whether a layer has no weights and treats every sample alone."""
    axis = getattr(layer, "axis", -1)
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    return (
        type(layer) in _WEIGHTLESS
        and all(axis == -1 or axis > 0 for axis in axes)
        and getattr(layer, "noise_shape", None) is None
        and layer.activity_regularizer is None
    )


def is_random(layer: Layer) -> bool:
    """Says whether a layer draws random numbers in training."""
    return hasattr(layer, "seed_generator")


def _build_and_watch(layer: Layer, input_shape: Shape) -> dict[str, Any]:
    """Builds a layer; returns the initializer that each weight got.

    A layer may build its weights with other initializers than its arguments
    say: `EinsumDense` adds the axes that count as inputs and outputs.
    """
    found: dict[str, Any] = {}
    add_weight = layer.add_weight

    def watch(*args: Any, **kwargs: Any) -> Any:
        variable = add_weight(*args, **kwargs)
        found[variable.name] = keras.initializers.get(kwargs["initializer"])
        return variable

    layer.__dict__["add_weight"] = watch
    layer.build(input_shape)
    return found


def _has_plain_weights(layer: Layer) -> bool:
    """Says whether stacking leaves what regularises the weights as it is."""
    settings = vars(layer)
    elementwise = (
        keras.regularizers.L1,
        keras.regularizers.L2,
        keras.regularizers.L1L2,
    )
    return (
        layer.activity_regularizer is None
        and not getattr(layer, "lora_rank", None)
        and getattr(layer, "quantization_mode", None) is None
        and all(
            value is None or type(value) in elementwise
            for name, value in settings.items()
            if name.endswith("_regularizer")
        )
        and all(
            value is None
            for name, value in settings.items()
            if name.endswith("_constraint")
        )
    )


_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
)

_KINDS: dict[type, type[StackedLayer]] = {
    keras.layers.Dense: StackedDense,
    keras.layers.Conv1D: StackedDense,
    keras.layers.Conv2D: StackedDense,
    keras.layers.Conv3D: StackedDense,
    keras.layers.EinsumDense: StackedEinsumDense,
    keras.layers.LayerNormalization: StackedLayerNormalization,
}

_WEIGHTLESS = frozenset(
    getattr(keras.layers, name)
    for name in """
        Activation Identity ReLU LeakyReLU ELU Softmax Rescaling
        Dropout GaussianDropout GaussianNoise
        SpatialDropout1D SpatialDropout2D SpatialDropout3D
        Flatten Reshape Permute RepeatVector UnitNormalization
        GlobalAveragePooling1D GlobalAveragePooling2D
        GlobalMaxPooling1D GlobalMaxPooling2D
        AveragePooling1D AveragePooling2D MaxPooling1D MaxPooling2D
        UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    """.split()  # noqa: SIM905  (a list would fill a page)
)


def _einsum_operands(equation: str) -> tuple[str, str, str]:
    inputs, output = equation.split("->")
    left, right = inputs.split(",")
    return left, right, output
