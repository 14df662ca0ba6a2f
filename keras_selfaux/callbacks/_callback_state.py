"""What callbacks know that weights do not: bests, patience, histories."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras

_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        "best",
        "best_epoch",
        "best_weights",
        "stopped_epoch",
        "wait",
    ),
    keras.callbacks.History: ("epoch", "history"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    ),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
    keras.callbacks.TensorBoard: (
        "_global_test_batch",
        "_global_train_batch",
        "_previous_epoch_iterations",
    ),
}
"""What has to be kept of Keras's callbacks, which keep nothing themselves."""


def states_of(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the states of those callbacks that have one.

    A callback of another kind has one if it has the methods `get_state` and
    `set_state`.
    """
    return [
        {"kind": type(callback).__name__, "state": _get(callback)}
        for callback in callbacks
        if _has_state(callback)
    ]


def restore_states(
    callbacks: Sequence[Any], states: Sequence[dict[str, Any]]
) -> None:
    """Gives callbacks their states back, those of a kind in their order.

    One that there is no state for starts afresh, with a warning.
    """
    by_kind: dict[str, Iterator[Any]] = {
        entry["kind"]: iter(
            [e["state"] for e in states if e["kind"] == entry["kind"]]
        )
        for entry in states
    }
    for callback in callbacks:
        if not _has_state(callback):
            continue
        kind = type(callback).__name__
        state = next(by_kind.get(kind, iter(())), None)
        if state is None:
            warnings.warn(
                f"The checkpoint has no state of the callback {kind}, which "
                "was not among those of the interrupted run. It starts afresh.",
                stacklevel=2,
            )
            continue
        _set(callback, state)


def _has_state(callback: Any) -> bool:
    return _is_willing(callback) or any(
        isinstance(callback, kind) for kind in _ATTRIBUTES
    )


def _is_willing(callback: Any) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _get(callback: Any) -> dict[str, Any]:
    if _is_willing(callback):
        state: dict[str, Any] = callback.get_state()
        return state
    return {name: getattr(callback, name, None) for name in _names(callback)}


def _set(callback: Any, state: dict[str, Any]) -> None:
    if _is_willing(callback):
        callback.set_state(state)
        return
    for name in _names(callback):
        setattr(callback, name, state[name])


def _names(callback: Any) -> tuple[str, ...]:
    return next(
        names
        for kind, names in _ATTRIBUTES.items()
        if isinstance(callback, kind)
    )
