"""Weights drawn for all copies at once follow the law of a single layer's."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import initializers, layers

from keras_selfaux._stacking._kinds._initial import initial_values, is_seeded
from tests.cases import LayerCase, noisy
from tests.stacking.helpers import make_stack

COUNT = 6
AT_ONCE: dict[str, Callable[..., Any]] = {
    "glorot_normal": initializers.GlorotNormal,
    "glorot_uniform": initializers.GlorotUniform,
    "he_normal": initializers.HeNormal,
    "he_uniform": initializers.HeUniform,
    "lecun_normal": initializers.LecunNormal,
    "lecun_uniform": initializers.LecunUniform,
    "untruncated": lambda **kwargs: initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal", **kwargs
    ),
    "axes": lambda **kwargs: initializers.VarianceScaling(
        1.0, "fan_avg", "uniform", input_axes=[0], output_axes=[-1], **kwargs
    ),
    "random_normal": lambda **kwargs: initializers.RandomNormal(
        mean=1.0, stddev=0.3, **kwargs
    ),
    "random_uniform": lambda **kwargs: initializers.RandomUniform(
        minval=-1.0, maxval=2.0, **kwargs
    ),
    "truncated_normal": lambda **kwargs: initializers.TruncatedNormal(
        mean=-1.0, stddev=0.3, **kwargs
    ),
}
SHAPES = [(), (3000,), (60, 50), (3, 2, 20, 30), (1, 1, 100, 40)]


def draw(own: Any, shape: tuple[int, ...], **options: Any) -> np.ndarray:
    given = [None] * COUNT
    initialize = initial_values(own, given, first_index=0, **options)
    return np.array(initialize((COUNT, *shape), dtype="float32"))


class Counted(initializers.RandomUniform):
    """Counts how often it is asked."""

    calls = 0

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        Counted.calls += 1
        return super().__call__(shape, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AT_ONCE)
def test_the_law_is_that_of_one_layer(
    name: str, shape: tuple[int, ...]
) -> None:
    if name == "axes" and not shape:
        return  # a number has no axes
    found = draw(AT_ONCE[name](), shape, seeded=False)
    assert found.shape == (COUNT, *shape)
    for i, values in enumerate(found):
        assert not any(np.allclose(values, other) for other in found[:i])
    if np.prod(shape) < 1000:
        return
    wanted = np.array(AT_ONCE[name](seed=3)(shape))
    for values in found:
        scale = np.std(wanted)
        np.testing.assert_allclose(np.std(values), scale, rtol=0.06)
        np.testing.assert_allclose(
            np.mean(values), np.mean(wanted), atol=0.1 * scale
        )
        if "uniform" in name or "truncated" in name:
            # Within the limits, and up to them.
            np.testing.assert_allclose(
                (np.min(values), np.max(values)),
                (np.min(wanted), np.max(wanted)),
                atol=0.2 * scale if name != "untruncated" else 2 * scale,
            )


@pytest.mark.parametrize("name", AT_ONCE)
def test_all_copies_are_drawn_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    for kind in ("uniform", "normal", "truncated_normal"):
        one = getattr(keras.src.backend.random, kind)

        def watch(shape: Any, *args: Any, one: Any = one, **kwargs: Any) -> Any:
            shapes.append(tuple(shape))
            return one(shape, *args, **kwargs)

        monkeypatch.setattr(keras.src.backend.random, kind, watch)
    draw(AT_ONCE[name](), (4, 3), seeded=False)
    assert shapes == [(COUNT, 4, 3)]


def test_explicit_seeds_draw_as_single_layers_do() -> None:
    found = draw(initializers.HeNormal(seed=5), (4, 3), seeded=True)
    for number, values in enumerate(found):
        own = initializers.HeNormal(seed=5 + number)
        np.testing.assert_array_equal(values, own((4, 3)))


def test_other_initializers_draw_one_by_one() -> None:
    found = draw(initializers.Orthogonal(), (4, 3), seeded=False)
    for values in found:
        np.testing.assert_allclose(values.T @ values, np.eye(3), atol=1e-5)
    Counted.calls = 0  # a subclass may do anything
    draw(Counted(), (4, 3), seeded=False)
    assert Counted.calls == COUNT


@pytest.mark.parametrize(
    ("layer", "seeded"),
    [
        (layers.Dense(4), False),
        (layers.EinsumDense("ab,bc->ac", 4), False),
        (layers.Dense(4, kernel_initializer="orthogonal"), False),
        (layers.Dense(4, kernel_initializer=initializers.HeNormal(5)), True),
        (
            layers.EinsumDense(
                "ab,bc->ac", 4, kernel_initializer=initializers.HeNormal(5)
            ),
            True,
        ),
        (
            layers.Dense(
                4,
                kernel_initializer=initializers.HeNormal(
                    keras.random.SeedGenerator(5)
                ),
            ),
            True,
        ),
    ],
)
def test_is_seeded(layer: layers.Layer, seeded: bool) -> None:
    layer.build((None, 6))
    assert is_seeded(layer, "kernel") is seeded


def test_what_does_not_say_is_taken_to_be_seeded() -> None:
    assert is_seeded(layers.RMSNormalization(), "scale")
    assert is_seeded(layers.Dense(4, kernel_initializer=noisy), "kernel")


@pytest.mark.parametrize("stack", [True, False])
def test_the_global_seed_repeats_all_weights(stack: bool) -> None:
    case = LayerCase(
        lambda: layers.EinsumDense("ab,bc->ac", 4, bias_axes="c"), (6,)
    )
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        copies = make_stack(case, COUNT, stack=stack)
        found.append([copies.module_weights(i)[0] for i in range(COUNT)])
    np.testing.assert_array_equal(*found)
