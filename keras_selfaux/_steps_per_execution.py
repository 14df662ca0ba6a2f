"""How many steps `fit` takes between two returns to Python."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras

# A step of a small network takes about as long as starting it from Python.
# Larger networks gain nothing, and callbacks would wait for no reason.
_MOST_STEPS = 16
_LARGEST_MODEL = 2**20
_LARGEST_SAMPLE = 2**12
_BATCH_HOOKS = [
    f"on_{name}_{moment}"
    for name in ("train_batch", "test_batch", "batch")
    for moment in ("begin", "end")
]


def default_steps(model: Any, arguments: Mapping[str, Any]) -> int:
    """Returns the `steps_per_execution` that is right for a run of `fit`.

    It is above 1 for small models on one device, unless a callback wants to
    act after every step. A callback that acts on every n-th step alone says
    so by an integer attribute `every_n_steps`, beside `counts_steps`: the
    result then divides n, so that the callback is called right after these
    steps, among others. One that has `counts_steps` alone may be called
    after any number of steps.

    Args:
        model: The model, compiled and built.
        arguments: The arguments of `keras.Model.fit`, by name.
    """
    callbacks = arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if not isinstance(callbacks, (list, tuple)):
        callbacks = [callbacks]
    if (
        model.run_eagerly
        or model.distribute_strategy.num_replicas_in_sync > 1
        or not model.built
        or model.count_params() > _LARGEST_MODEL
        or model.sample_size > _LARGEST_SAMPLE
        or any(map(_acts_on_every_step, callbacks))
    ):
        return 1
    # Keras always finishes an execution: with endless data, an epoch of 10
    # steps would take 16 of them. Divisors are safe.
    counts = (
        arguments.get("steps_per_epoch"),
        arguments.get("validation_steps"),
        keras.config.max_steps_per_epoch(),
        *map(_interval, callbacks),
    )
    common = math.gcd(*(count for count in counts if count))
    if common == 0:
        return _MOST_STEPS
    return max(n for n in range(1, _MOST_STEPS + 1) if common % n == 0)


@contextlib.contextmanager
def steps_per_execution(model: Any, steps: int) -> Iterator[None]:
    """Lets a model take so many steps at once while the context lasts.

    What was traced for either number of steps is kept for the next time.
    """
    before = model.steps_per_execution
    _switch(model, steps)
    try:
        yield
    finally:
        _switch(model, before)


def _switch(model: Any, steps: int) -> None:
    if steps == model.steps_per_execution:
        return
    names = ("train_function", "test_function", "predict_function")
    kept = model.functions_by_steps
    kept[model.steps_per_execution] = [getattr(model, name) for name in names]
    for name, function in zip(names, kept.get(steps, [None] * 3), strict=True):
        setattr(model, name, function)
    model.steps_per_execution = steps


def _interval(callback: keras.callbacks.Callback) -> int | None:
    """Returns after how many steps a callback wants to act, if it says so.

    One that has `counts_steps` finds out by itself how many steps there
    were since it was called the last time. Without `every_n_steps`, any
    number will do: 0.
    """
    if not getattr(callback, "counts_steps", False):
        return None
    if not hasattr(callback, "every_n_steps"):
        return 0
    interval = callback.every_n_steps
    return interval if type(interval) is int and interval > 0 else None


def _acts_on_every_step(callback: keras.callbacks.Callback) -> bool:
    """Says whether a callback does something at every step."""
    if _interval(callback) is not None:
        return False
    base = keras.callbacks.Callback
    hooks = {
        name: getattr(type(callback), name)
        for name in _BATCH_HOOKS
        if name in vars(callback)
        or getattr(type(callback), name) is not getattr(base, name)
    }
    # Keras's own may do nothing until the epoch ends.
    settings = (
        getattr(callback, name, None) for name in ("save_freq", "update_freq")
    )
    waits = "epoch" in settings and all(
        name not in vars(callback) and hook.__module__.startswith("keras.")
        for name, hook in hooks.items()
    )
    return bool(hooks) and not waits
