"""`keras.RematScope` within a training step that works on tensors.

Keras recomputes with TensorFlow's `recompute_grad`, which knows no weights
but variables and no `training` argument. A training step here has explicit
tensors for weights, so that rematerialisation has to hand them on.
"""

import contextlib
import contextvars
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras.src.backend.common.variables import AutocastScope

from keras_selfaux._gradients import recomputed
from keras_selfaux._types import Layer, Tensor

_active = contextvars.ContextVar("rematerializing", default=False)


@contextlib.contextmanager
def rematerializing(active: bool) -> Iterator[None]:
    """Lets layers made under a `RematScope` forget their activations."""
    token = _active.set(active)
    try:
        yield
    finally:
        _active.reset(token)


def support_rematerialization(layer: Layer, *, itself: bool = True) -> None:
    """Makes a layer and those in it do as their `RematScope` said.

    Outside of `rematerializing(True)` they compute as without a scope.

    Args:
        layer: A Keras layer.
        itself: Whether the layer, too, may be recomputed as a whole; else
            only those in it. Defaults to `True`.
    """
    for part in layer._flatten_layers():
        mode = getattr(part, "_remat_mode", None)
        if mode is None or mode.mode is None:
            continue
        # Past `__setattr__`, which would look for layers to track.
        part.__dict__["rematerialized_call"] = (
            functools.partial(_rematerialized_call, part)
            if itself or part is not layer
            else plain_call
        )


def plain_call(
    function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Callable[..., Any]:
    """Returns `function`: a `rematerialized_call` that keeps everything."""
    return function


def remat_scope_of(layer: Layer) -> keras.RematScope:
    """Returns a scope like that in which a layer was made."""
    mode = getattr(layer, "_remat_mode", None)
    if mode is None:
        return keras.RematScope(mode=None)
    return keras.RematScope(
        mode.mode, mode.output_size_threshold, mode.layer_names
    )


def _rematerialized_call(
    layer: Layer, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Callable[..., Any]:
    """Stands in for a layer's own `rematerialized_call`."""
    mode = layer._remat_mode
    if not _active.get():
        return function
    if mode.mode == "activations":
        if getattr(layer, "activation", None) is None:
            return function
        return functools.partial(_with_activation_recomputed, layer, function)
    if mode.mode == "list_of_layers" and layer.name not in mode.layer_names:
        return function
    if mode.mode == "larger_than":
        args, kwargs = keras.tree.map_structure(_symbolic, (args, kwargs))
        spec = layer.compute_output_spec(*args, **kwargs)
        sizes = [
            math.prod(size or 1 for size in leaf.shape)
            for leaf in keras.tree.flatten(spec)
        ]
        if sum(sizes) <= mode.output_size_threshold:
            return function
    return functools.partial(_call_recomputed, layer)


def _with_activation_recomputed(
    layer: Layer, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    activation = layer.activation

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [activation(tensors[0])]

    layer.activation = lambda values: recomputed(run, [values])[0]
    try:
        return function(*args, **kwargs)
    finally:
        layer.activation = activation


def _call_recomputed(layer: Layer, *args: Any, **kwargs: Any) -> Any:
    """Calls a layer so that its gradient starts with calling it again."""
    trained = layer.trainable_variables
    others = layer.non_trainable_variables
    # As they are, not cast to the precision of the layer that calls.
    with AutocastScope(None):
        others_before = [variable.value for variable in others]
        weights = [variable.value for variable in trained]
    leaves = keras.tree.flatten((args, kwargs))
    varying = [i for i, leaf in enumerate(leaves) if _is_float(leaf)]
    outputs_spec: list[Any] = []
    moved: list[Any] = []

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        inputs, weights = tensors[: len(varying)], tensors[len(varying) :]
        mixed = list(leaves)
        for i, tensor in zip(varying, inputs, strict=True):
            mixed[i] = tensor
        new_args, new_kwargs = keras.tree.pack_sequence_as(
            (args, kwargs), mixed
        )
        mapping = [
            *zip(trained, weights, strict=True),
            *zip(others, others_before, strict=True),
        ]
        with AutocastScope(None):
            scope = keras.StatelessScope(mapping, collect_losses=True)
        with scope, rematerializing(False):
            outputs = layer(*new_args, **new_kwargs)
        found = [
            (variable, scope.get_current_value(variable)) for variable in others
        ]
        updates = [(v, value) for v, value in found if value is not None]
        moved[:] = [variable for variable, _ in updates]
        outputs_spec[:] = [outputs]
        return [
            *keras.tree.flatten(outputs),
            *(value for _, value in updates),
            *scope.losses,
        ]

    results = recomputed(run, [*(leaves[i] for i in varying), *weights])
    end = len(keras.tree.flatten(outputs_spec[0]))
    losses = results[end + len(moved) :]
    for variable, value in zip(moved, results[end:], strict=False):
        variable.assign(value)
    if losses:
        layer.add_loss(losses)
    return keras.tree.pack_sequence_as(outputs_spec[0], results[:end])


def _symbolic(leaf: Any) -> Any:
    is_tensor = keras.ops.is_tensor(leaf)
    return keras.KerasTensor(leaf.shape, leaf.dtype) if is_tensor else leaf


def _is_float(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and keras.backend.is_float_dtype(dtype)
