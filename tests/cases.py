"""Tables of what the tests run over: one row per layer, loss, weighting.

A new method is one row here; `properties.py` holds what is asked of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_selfaux import weightings

Array = np.ndarray


@keras.saving.register_keras_serializable("tests")
class DoubledDense(layers.Dense):
    """A subclass may compute anything, hence must not be stacked."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return 2.0 * super().call(inputs)


@keras.saving.register_keras_serializable("tests")
def noisy(shape: Any, dtype: Any = None) -> Any:
    """A random initializer without a seed in its config: a function."""
    return keras.random.normal(shape, dtype=dtype)


def _functional() -> keras.Model:
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, "tanh")(inputs)
    skip = layers.Concatenate()([inputs, hidden])
    return keras.Model(inputs, layers.Dense(2)(skip))


class LayerCase(NamedTuple):
    """A template layer.

    Attributes:
        make: Makes the layer.
        shape: Shape of one sample.
        stacks: Whether copies run as one batched product.
    """

    make: Callable[[], Any]
    shape: tuple[int, ...]
    stacks: bool = True


IMAGE = (4, 5, 3)

LAYERS: dict[str, LayerCase] = {
    "dense": LayerCase(lambda: layers.Dense(4), (6,)),
    # Fewer units than channels, and more: the products differ.
    "dense_narrow": LayerCase(lambda: layers.Dense(2, "tanh"), (6,)),
    "dense_wide": LayerCase(lambda: layers.Dense(9, "tanh"), (6,)),
    "dense_no_bias": LayerCase(lambda: layers.Dense(4, use_bias=False), (6,)),
    "dense_on_sequences": LayerCase(lambda: layers.Dense(4, "relu"), (5, 6)),
    "dense_l2": LayerCase(
        lambda: layers.Dense(4, kernel_regularizer="l2", bias_regularizer="l1"),
        (6,),
    ),
    "einsum": LayerCase(
        lambda: layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"),
        (5, 6),
    ),
    "einsum_no_bias": LayerCase(
        lambda: layers.EinsumDense("ab,bc->ac", 4, activation="gelu"), (6,)
    ),
    "einsum_ellipsis": LayerCase(
        lambda: layers.EinsumDense(
            "...x,xy->...y", 4, bias_axes="y", activation="relu"
        ),
        (3, 3, 6),  # Keras swaps two sizes of an ellipsis in static shapes
    ),
    "einsum_wide_bias": LayerCase(
        lambda: layers.EinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="de"),
        (5, 6),
    ),
    # The bias runs along an axis in the middle: shape (5, 1).
    "einsum_middle_bias": LayerCase(
        lambda: layers.EinsumDense("abc,cd->abd", (5, 4), bias_axes="b"),
        (5, 6),
    ),
    "conv1d": LayerCase(lambda: layers.Conv1D(4, 1, activation="relu"), (5, 6)),
    "conv2d": LayerCase(lambda: layers.Conv2D(4, 1), IMAGE),
    "conv2d_no_bias": LayerCase(
        lambda: layers.Conv2D(2, 1, use_bias=False, activation="tanh"), IMAGE
    ),
    "conv3d": LayerCase(lambda: layers.Conv3D(2, 1), (2, *IMAGE)),
    "layer_norm": LayerCase(layers.LayerNormalization, (5, 6)),
    "layer_norm_plain": LayerCase(
        lambda: layers.LayerNormalization(
            center=False, scale=False, epsilon=0.1
        ),
        (6,),
    ),
    "layer_norm_scale": LayerCase(
        lambda: layers.LayerNormalization(center=False), IMAGE
    ),
    "layer_norm_center": LayerCase(
        lambda: layers.LayerNormalization(scale=False), (6,)
    ),
    "batch_norm": LayerCase(
        lambda: keras.Sequential(
            [layers.Dense(4), layers.BatchNormalization()]
        ),
        (6,),
    ),
    "batch_norm_first": LayerCase(
        lambda: keras.Sequential(
            [layers.BatchNormalization(momentum=0.5), layers.Dense(4)]
        ),
        (5, 6),
    ),
    "batch_norm_plain": LayerCase(
        lambda: layers.BatchNormalization(
            center=False, scale=False, epsilon=0.1
        ),
        IMAGE,
    ),
    "batch_norm_frozen": LayerCase(
        lambda: layers.BatchNormalization(trainable=False), (6,)
    ),
    "group_norm": LayerCase(
        lambda: layers.GroupNormalization(groups=2), (5, 6)
    ),
    "instance_norm": LayerCase(
        lambda: layers.GroupNormalization(groups=-1, center=False), IMAGE
    ),
    "rms_norm": LayerCase(layers.RMSNormalization, (5, 6)),
    "prelu": LayerCase(layers.PReLU, (5, 6)),
    "prelu_shared": LayerCase(lambda: layers.PReLU(shared_axes=[1, 2]), IMAGE),
    "mlp": LayerCase(
        lambda: keras.Sequential(
            [layers.Dense(7, "relu"), layers.Dropout(0.5), layers.Dense(3)]
        ),
        (6,),
    ),
    "starts_without_weights": LayerCase(
        lambda: keras.Sequential(
            [layers.ReLU(), layers.Dropout(0.5), layers.Dense(3)]
        ),
        (6,),
    ),
    "flatten": LayerCase(
        lambda: keras.Sequential(
            [layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(3)]
        ),
        IMAGE,
    ),
    "pooled": LayerCase(
        lambda: keras.Sequential(
            [
                keras.Sequential([layers.Conv2D(4, 1), layers.MaxPooling2D()]),
                layers.GlobalAveragePooling2D(),
                layers.LayerNormalization(),
                layers.Dense(3),
            ]
        ),
        IMAGE,
    ),
    "reshape": LayerCase(
        lambda: keras.Sequential(
            [layers.Dense(12), layers.Reshape((3, 4)), layers.Permute((2, 1))]
        ),
        (6,),
    ),
    "no_weights": LayerCase(
        lambda: keras.Sequential([layers.Flatten(), layers.Activation("tanh")]),
        IMAGE,
    ),
    # From here on: copies that are looped over.
    "conv2d_3x3": LayerCase(
        lambda: layers.Conv2D(4, 3, padding="same"), IMAGE, stacks=False
    ),
    "conv2d_strided": LayerCase(
        lambda: layers.Conv2D(4, 1, strides=2), IMAGE, stacks=False
    ),
    "conv2d_groups": LayerCase(
        lambda: layers.Conv2D(3, 1, groups=3), IMAGE, stacks=False
    ),
    "layer_norm_axes": LayerCase(
        lambda: layers.LayerNormalization(axis=(1, 2)), (5, 6), stacks=False
    ),
    "batch_renorm": LayerCase(
        lambda: layers.BatchNormalization(renorm=True), (6,), stacks=False
    ),
    "lstm": LayerCase(lambda: layers.LSTM(3), (5, 6), stacks=False),
    "functional": LayerCase(_functional, (6,), stacks=False),
    "subclass": LayerCase(lambda: DoubledDense(4), (6,), stacks=False),
    "constraint": LayerCase(
        lambda: layers.Dense(4, kernel_constraint="non_neg"),
        (6,),
        stacks=False,
    ),
    "activity_regularizer": LayerCase(
        lambda: layers.Dense(4, activity_regularizer="l2"), (6,), stacks=False
    ),
    # Orthogonality is a matter of one kernel, not of a stack of kernels.
    "orthogonal_regularizer": LayerCase(
        lambda: layers.Dense(4, kernel_regularizer="orthogonal_regularizer"),
        (6,),
        stacks=False,
    ),
}


class LossCase(NamedTuple):
    """A loss, with what makes labels and predictions it accepts.

    Attributes:
        make: Makes the loss.
        labels: Makes labels from a generator and `(N, batch)`.
        predictions: The same for predictions.
    """

    make: Callable[..., keras.losses.Loss]
    labels: Callable[[np.random.Generator, tuple[int, int]], Array]
    predictions: Callable[[np.random.Generator, tuple[int, int]], Array]


def _reals(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return rng.normal(size=(*lead, *shape)).astype("float32")

    return make


def _positive(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return rng.uniform(0.1, 2.0, (*lead, *shape)).astype("float32")

    return make


def _probabilities(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return rng.uniform(0.05, 0.95, (*lead, *shape)).astype("float32")

    return make


def _bits(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return rng.integers(0, 2, (*lead, *shape)).astype("float32")

    return make


def _signs(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return 2 * _bits(*shape)(rng, lead) - 1

    return make


def _distribution(*shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        values = _positive(*shape)(rng, lead)
        return values / values.sum(-1, keepdims=True)

    return make


def _classes(count: int, *shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return rng.integers(0, count, (*lead, *shape)).astype("int32")

    return make


def _one_hot(count: int, *shape: int) -> Callable[..., Array]:
    def make(rng: np.random.Generator, lead: tuple[int, int]) -> Array:
        return np.eye(count, dtype="float32")[
            _classes(count, *shape)(rng, lead)
        ]

    return make


_LOSSES = keras.losses

LOSSES: dict[str, LossCase] = {
    "mse": LossCase(_LOSSES.MeanSquaredError, _reals(3), _reals(3)),
    "mse_image": LossCase(
        _LOSSES.MeanSquaredError, _reals(*IMAGE), _reals(*IMAGE)
    ),
    "mae": LossCase(_LOSSES.MeanAbsoluteError, _reals(3), _reals(3)),
    "mape": LossCase(
        _LOSSES.MeanAbsolutePercentageError, _positive(3), _positive(3)
    ),
    "msle": LossCase(
        _LOSSES.MeanSquaredLogarithmicError, _positive(3), _positive(3)
    ),
    "huber": LossCase(_LOSSES.Huber, _reals(3), _reals(3)),
    "log_cosh": LossCase(_LOSSES.LogCosh, _reals(3), _reals(3)),
    "cosine": LossCase(_LOSSES.CosineSimilarity, _reals(3), _reals(3)),
    "cosine_image": LossCase(
        lambda **kwargs: _LOSSES.CosineSimilarity(axis=-1, **kwargs),
        _reals(*IMAGE),
        _reals(*IMAGE),
    ),
    "binary": LossCase(_LOSSES.BinaryCrossentropy, _bits(3), _probabilities(3)),
    "binary_logits": LossCase(
        lambda **kwargs: _LOSSES.BinaryCrossentropy(
            from_logits=True, label_smoothing=0.1, **kwargs
        ),
        _bits(3),
        _reals(3),
    ),
    "binary_focal": LossCase(
        _LOSSES.BinaryFocalCrossentropy, _bits(3), _probabilities(3)
    ),
    "categorical": LossCase(
        _LOSSES.CategoricalCrossentropy, _one_hot(4), _distribution(4)
    ),
    "categorical_logits": LossCase(
        lambda **kwargs: _LOSSES.CategoricalCrossentropy(
            from_logits=True, **kwargs
        ),
        _one_hot(4, 2, 3),
        _reals(2, 3, 4),
    ),
    "categorical_focal": LossCase(
        _LOSSES.CategoricalFocalCrossentropy, _one_hot(4), _distribution(4)
    ),
    "categorical_generalized": LossCase(
        _LOSSES.CategoricalGeneralizedCrossEntropy,
        _classes(4),
        _distribution(4),
    ),
    "sparse": LossCase(
        _LOSSES.SparseCategoricalCrossentropy, _classes(4), _distribution(4)
    ),
    "sparse_column": LossCase(
        _LOSSES.SparseCategoricalCrossentropy, _classes(4, 1), _distribution(4)
    ),
    "sparse_image": LossCase(
        lambda **kwargs: _LOSSES.SparseCategoricalCrossentropy(
            from_logits=True, **kwargs
        ),
        _classes(4, 2, 3),
        _reals(2, 3, 4),
    ),
    "sparse_ignore": LossCase(
        lambda **kwargs: _LOSSES.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=0, **kwargs
        ),
        _classes(4, 2, 3),
        _reals(2, 3, 4),
    ),
    "kl": LossCase(_LOSSES.KLDivergence, _distribution(4), _distribution(4)),
    "poisson": LossCase(_LOSSES.Poisson, _positive(3), _positive(3)),
    "hinge": LossCase(_LOSSES.Hinge, _signs(3), _reals(3)),
    "squared_hinge": LossCase(_LOSSES.SquaredHinge, _signs(3), _reals(3)),
    "categorical_hinge": LossCase(
        _LOSSES.CategoricalHinge, _one_hot(4), _reals(4)
    ),
    "dice": LossCase(
        lambda **kwargs: _LOSSES.Dice(axis=(1, 2, 3), **kwargs),
        _bits(*IMAGE),
        _probabilities(*IMAGE),
    ),
    "tversky": LossCase(
        lambda **kwargs: _LOSSES.Tversky(
            alpha=0.3, beta=0.7, axis=(1, 2, 3), **kwargs
        ),
        _bits(*IMAGE),
        _probabilities(*IMAGE),
    ),
    "ctc": LossCase(
        _LOSSES.CTC,
        lambda rng, lead: 1 + _classes(3, 2)(rng, lead),
        _reals(7, 4),
    ),
}

# What Keras has but this package cannot use, and so has no row above.
SCALAR_LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "dice": _LOSSES.Dice,
    "tversky": _LOSSES.Tversky,
}


class WeightingCase(NamedTuple):
    """A weighting.

    Attributes:
        make: Makes the weighting; takes `normalize`.
        name: What `weightings.get` knows it by, if anything.
        equal_at: What all weights are at equal losses, in the first step.
        sums: Whether the weights of what is present sum to its number.
        exempt: Properties that are not asked of it, each with the reason.
    """

    make: Callable[..., weightings.Weighting]
    name: str | None = None
    equal_at: float = 1.0
    sums: bool = False
    exempt: Mapping[str, str] = {}


_NAMED_TASKS = {
    "equal_losses_have_equal_weights": "weights are given one by one",
    "one_task_alone_has_a_weight": "it names three tasks",
    "one_task_alone_keeps_its_weight": "it names three tasks",
    "absent_tasks_leave_the_others_as_if_alone": "it names three tasks",
}
_BY_CHANCE = {
    "equal_losses_have_equal_weights": "the draws are not equal",
    "xla_gives_the_same_weights": "XLA makes other numbers of a seed",
    "the_order_of_tasks_does_not_matter": "draws go by position",
    "absent_tasks_leave_the_others_as_if_alone": "fewer draws are others",
    "branches_can_be_normalised": "each weighting draws for itself",
}
_BY_TASK = {
    "a_config_keeps_the_normalisation": "it refuses one",
    "branches_can_be_normalised": "it refuses to",
}

WEIGHTINGS: dict[str, WeightingCase] = {
    "equal": WeightingCase(weightings.Equal, "equal", sums=True),
    "static": WeightingCase(
        lambda **kwargs: weightings.Static(
            {"a": 2.0, ("a", "b"): 0.5, ("c", "c"): 0.25}, **kwargs
        ),
        exempt=_NAMED_TASKS,
    ),
    "static_ones": WeightingCase(
        lambda **kwargs: weightings.Static({}, **kwargs)
    ),
    "auto_lambda": WeightingCase(
        weightings.AutoLambda,
        "auto_lambda",
        equal_at=0.1,
        exempt={
            "absent_tasks_learn_nothing": "it is told no more than a "
            "gradient, and has inertia",
            "a_step_without_losses_teaches_nothing": "the same",
        },
    ),
    "uncertainty": WeightingCase(weightings.Uncertainty, "uncertainty"),
    "uncertainty_by_edge": WeightingCase(
        lambda **kwargs: weightings.Uncertainty(0.3, by="edge", **kwargs)
    ),
    "impartial_loss": WeightingCase(weightings.ImpartialLoss, "impartial_loss"),
    "dynamic_weight_average": WeightingCase(
        weightings.DynamicWeightAverage, "dynamic_weight_average", sums=True
    ),
    "dynamic_weight_average_by_edge": WeightingCase(
        lambda **kwargs: weightings.DynamicWeightAverage(
            0.5, by="edge", **kwargs
        ),
        sums=True,
    ),
    "random_loss_weighting": WeightingCase(
        lambda **kwargs: weightings.RandomLossWeighting(seed=1, **kwargs),
        "random_loss_weighting",
        sums=True,
        exempt=_BY_CHANCE,
    ),
    "geometric_loss": WeightingCase(weightings.GeometricLoss, "geometric_loss"),
    "smooth_tchebycheff": WeightingCase(
        weightings.SmoothTchebycheff, "smooth_tchebycheff", sums=True
    ),
    "smooth_tchebycheff_preferring": WeightingCase(
        lambda **kwargs: weightings.SmoothTchebycheff(
            mu=0.1, ideal=0.2, preferences={"a": 3.0, "c": 0.5}, **kwargs
        ),
        sums=True,
        exempt=_NAMED_TASKS,
    ),
    "famo": WeightingCase(weightings.FAMO, "famo", sums=True),
    "famo_by_edge": WeightingCase(
        lambda **kwargs: weightings.FAMO(
            minimum_losses=-0.5, by="edge", **kwargs
        ),
        sums=True,
    ),
    "grad_norm": WeightingCase(
        weightings.GradNorm, "grad_norm", sums=True, exempt=_BY_TASK
    ),
    "excess_mtl": WeightingCase(
        weightings.ExcessMTL, "excess_mtl", sums=True, exempt=_BY_TASK
    ),
}
