"""`SelfAuxModel` of encoders, heads and edges that may not fit together."""

from typing import Any

import keras
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder, HeadBank
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import odd_values, or_odd

FAMILY = "models"
TASKS = ["a", "b", "c"]

_LAYER = keras.layers.Dense(2)
_shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
_edges = st.lists(
    st.tuples(st.sampled_from(TASKS), st.sampled_from([*TASKS, "d"])),
    max_size=3,
)


def _head(kind: str) -> keras.layers.Layer:
    if kind == "dense":
        return keras.layers.Dense(2)
    if kind == "conv":
        return keras.layers.Conv2D(2, 2)
    if kind == "pool":
        return keras.layers.GlobalAveragePooling2D()
    if kind == "flat":
        return keras.Sequential(
            [keras.layers.Flatten(), keras.layers.Dense(3, "tanh")]
        )
    return keras.layers.Reshape((-1, 2))


_kinds = st.sampled_from(["dense", "conv", "pool", "flat", "pairs"])


def _encoder(shapes: dict[str, Any]) -> keras.Model:
    """Returns a model with features of these shapes."""
    inputs = keras.Input((2,))
    outputs = {}
    for task, shape in shapes.items():
        wide = keras.layers.Dense(int(np.prod(shape)))(inputs)
        outputs[task] = keras.layers.Reshape(shape)(wide)
    return keras.Model(inputs, outputs)


@examples(3)
@given(
    st.dictionaries(st.sampled_from(TASKS), _shapes, min_size=1),
    st.dictionaries(st.sampled_from(TASKS), _kinds, min_size=1),
    st.one_of(_edges, st.sampled_from(["all", "none"])),
    st.booleans(),
)
@example({"a": (4,), "b": (3,)}, {"a": "dense", "b": "flat"}, "all", True)
@example({"a": (4, 4, 1)}, {"a": "conv"}, "none", False)
@example({"a": (1, 1, 1)}, {"a": "conv"}, "none", True)
def test_shapes(shapes: Any, kinds: Any, auxiliaries: Any, stack: bool) -> None:
    heads = {task: _head(kind) for task, kind in kinds.items()}
    encoder = _encoder(shapes)
    found = outcome(
        FAMILY,
        lambda: keras_selfaux.SelfAuxModel(
            encoder, heads, auxiliaries, stack=stack
        ),
    )
    if found.problem is not None:
        _check_message(str(found.problem), shapes, kinds)
        return
    model = found.value
    x = np.ones((3, 2), "float32")
    features, answers = encoder(x), model(x)
    for task in kinds:
        # The same weights in an ordinary layer.
        plain = _head(kinds[task])
        plain(features[task])
        plain.set_weights(model.head_bank.edge_weights((task, task)))
        np.testing.assert_allclose(
            answers[task], plain(features[task]), atol=1e-5
        )


def _check_message(text: str, shapes: Any, kinds: Any) -> None:
    """A head that does not fit is named with the features it was given."""
    if "cannot be wired" not in text:
        return
    assert any(str((None, *shape)) in text for shape in shapes.values())
    assert any(repr(task) in text for task in kinds)


@examples(12)
@given(
    or_odd(st.just("encoder")),
    or_odd(
        st.dictionaries(
            st.sampled_from(["a", "b", "c", "d", 1, ""]),
            or_odd(st.just(_LAYER)),
            max_size=3,
        )
    ),
    or_odd(_edges),
    or_odd(st.booleans()),
)
@example("encoder", {}, "all", True)
@example("encoder", {"a": _LAYER, 1: _LAYER}, "all", True)
def test_arguments(
    encoder: Any, heads: Any, auxiliaries: Any, stack: Any
) -> None:
    if isinstance(encoder, str) and encoder == "encoder":
        encoder = BranchedEncoder([_LAYER], 1)
    outcome(
        FAMILY,
        lambda: keras_selfaux.SelfAuxModel(
            encoder, heads, auxiliaries, stack=stack
        ),
    )


@examples(8)
@given(
    or_odd(
        st.dictionaries(
            st.sampled_from(["a", "b"]),
            or_odd(st.just(_LAYER)),
            max_size=2,
        )
    ),
    odd_values,
    or_odd(st.booleans()),
)
@example({"a": _LAYER}, None, True)
def test_head_banks(heads: Any, graph: Any, stack: Any) -> None:
    outcome(FAMILY, lambda: HeadBank(heads, graph, stack=stack))


@examples(2)
@given(
    st.integers(1, 3), st.one_of(st.just(4), st.integers(1, 4)), st.booleans()
)
def test_inputs_of_other_shapes(rank: int, size: int, built: bool) -> None:
    """What no layer can take is Keras's to refuse, before or after."""
    encoder = BranchedEncoder([keras.layers.Dense(3)], 1)
    model = keras_selfaux.SelfAuxModel(
        encoder, {t: keras.layers.Dense(2) for t in TASKS}
    )
    if built:
        model.build((None, 4))
    x = np.ones((2,) * rank + (size,), "float32")
    found = outcome(FAMILY, lambda: model(x))
    if found.problem is None:
        assert found.value["a"].shape == (*x.shape[:-1], 2)
    else:
        assert built
