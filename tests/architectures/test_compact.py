"""`compact_stages` and `pixel_head`: small, and seeing far."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.architectures import compact_stages, pixel_head
from tests.architectures.helpers import (
    TASKS,
    assert_trains_and_is_saved,
    branched,
    convolutions,
    images,
    model_of,
)


@pytest.mark.parametrize("paths", [0, 1, 2, 3, 4, "half"])
@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_any_number_of_stages_is_shared(paths, size) -> None:
    features = branched(compact_stages(6), paths)(images(2, *size, 3))
    assert {t: f.shape for t, f in features.items()} == dict.fromkeys(
        TASKS, (2, 12, 16, 6)
    )


def test_stages_are_a_stem_and_one_per_rate() -> None:
    stages = compact_stages(5, (1, 3), channels=4)
    found = [[c.dilation_rate for c in convolutions(s)] for s in stages]
    assert found == [[(1, 1), (1, 1)], [(1, 1)], [(3, 3)]]
    assert stages[0].input.shape == (None, None, None, 4)
    assert not any(c.use_bias for s in stages for c in convolutions(s))


@pytest.mark.parametrize("rates", [(1,), (1, 2)])
def test_how_far_features_see(rates) -> None:
    stages = compact_stages(8, rates)
    x = tf.Variable(images(1, 64, 64, 3))
    with tf.GradientTape() as tape:
        features = x
        for stage in stages:
            features = stage(features)
        one = tf.reduce_sum(features[0, 8, 8])
    seen = np.abs(tape.gradient(one, x)[0]).max(-1) > 0
    rows, columns = np.nonzero(seen)
    wanted = 7 + 8 * sum(rates)
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == wanted


@pytest.mark.slow
def test_training_and_saving(tmp_path) -> None:
    model = model_of(compact_stages(4), pixel_head(2, filters=3))
    assert_trains_and_is_saved(model, images(4, 16, 24, 3), tmp_path)


@pytest.mark.parametrize("upsampling", [1, 4])
def test_predictions_have_the_images_size(upsampling: int) -> None:
    head = pixel_head(5, upsampling=upsampling, filters=3, name="depth")
    assert not head.built  # so that every copy draws its own weights
    assert head.name == "depth"
    outputs = head(images(2, 3, 4, 6))
    assert outputs.shape == (2, 3 * upsampling, 4 * upsampling, 5)
    assert head.layers[0].filters == 3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_predictions_are_float32_in_mixed_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    stages = compact_stages(4, (1,))
    features = images(2, 8, 8, 3)
    for stage in stages:
        features = stage(features)
    assert features.dtype == policy.removeprefix("mixed_")
    assert pixel_head(5)(features).dtype == "float32"


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (compact_stages, {"filters": 0}, "`filters` must be an integer"),
        (compact_stages, {"channels": 0}, "`channels` must be an integer"),
        (compact_stages, {"rates": ()}, "`rates` must give the dilation"),
        (compact_stages, {"rates": (1, 0)}, "`rates` must give the dilation"),
        (pixel_head, {"num_outputs": 0}, "`num_outputs` must be an integer"),
        (
            pixel_head,
            {"num_outputs": 1, "filters": 0},
            "`filters` must be an integer",
        ),
        (
            pixel_head,
            {"num_outputs": 1, "upsampling": 0},
            "`size` must be a positive integer",
        ),
    ],
)
def test_wrong_arguments(make, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)
