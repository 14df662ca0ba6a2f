"""`resnet18_stages`: sizes, dilation, sharing, and a step of training."""

import keras
import numpy as np
import pytest

from keras_selfaux.architectures import attribute_head, resnet18_stages
from tests.architectures.helpers import (
    TASKS,
    assert_trains_and_is_saved,
    branched,
    convolutions,
    images,
    model_of,
)

SMALL = {"blocks": (1, 1, 1, 1), "filters": 2}


def apply(stages: list, x: np.ndarray) -> np.ndarray:
    for stage in stages:
        x = stage(x)
    return np.asarray(x)


def test_parameters_are_those_of_resnet18() -> None:
    stages = resnet18_stages()
    assert len(stages) == 5
    counts = [
        sum(np.prod(v.shape) for v in stage.trainable_variables)
        for stage in stages
    ]
    # All of the published network but its layer of 1,000 classes. Nothing is
    # left for biases of convolutions.
    assert sum(counts) == 11_689_512 - (512 * 1000 + 1000)
    assert not any(c.use_bias for s in stages for c in convolutions(s))
    assert [len(convolutions(stage)) for stage in stages] == [1, 4, 5, 5, 5]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (45, 61)])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilation_fills_in_what_strides_leave_out(output_stride, size) -> None:
    arguments = {"blocks": (1, 2, 1, 2), "filters": 2}
    strided = resnet18_stages(**arguments)
    dilated = resnet18_stages(output_stride, **arguments)
    for one, other in zip(strided, dilated, strict=True):
        other.set_weights(one.get_weights())
    x = images(2, *size, 3)
    step = 32 // output_stride
    found, wanted = apply(dilated, x), apply(strided, x)
    assert wanted.shape == (2, *(-(-n // 32) for n in size), 16)
    assert found.shape[1:3] == tuple(-(-n // output_stride) for n in size)
    np.testing.assert_allclose(
        found[:, ::step, ::step], wanted, rtol=1e-4, atol=1e-5
    )


SLOW = (pytest.param(paths, marks=pytest.mark.slow) for paths in (1, 2, 4))


@pytest.mark.slow
@pytest.mark.parametrize("paths", [0, "half", 5, *SLOW])
def test_any_number_of_stages_is_shared(paths) -> None:
    features = branched(resnet18_stages(**SMALL), paths)(images(2, 33, 47, 3))
    assert {t: f.shape for t, f in features.items()} == dict.fromkeys(
        TASKS, (2, 2, 2, 16)
    )


def test_channels_may_be_other_than_three() -> None:
    stages = resnet18_stages(**SMALL, channels=5)
    assert apply(stages, images(2, 32, 32, 5)).shape == (2, 1, 1, 16)


@pytest.mark.slow
def test_training_and_saving(tmp_path) -> None:
    model = model_of(resnet18_stages(**SMALL), attribute_head())
    assert_trains_and_is_saved(model, images(4, 32, 48, 3), tmp_path)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_attributes_are_float32_in_mixed_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    head = attribute_head(3, name="smiling")
    assert not head.built  # so that every copy draws its own weights
    assert head.name == "smiling"
    # The sum of these features is beyond float16.
    outputs = head(np.full((2, 40, 50, 4), 60.0, "float16"))
    assert outputs.dtype == "float32"
    assert outputs.shape == (2, 3)
    kernel = np.array(head.layers[-1].kernel)
    np.testing.assert_allclose(outputs[0], 60 * kernel.sum(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_stride": 4}, "`output_stride` must be one of"),
        ({"blocks": (1, 1, 1)}, "`blocks` must give the number of blocks"),
        ({"blocks": (1, 1, 1, 0)}, "`blocks` must give the number of blocks"),
        ({"filters": 0}, "`filters` must be an integer of at least 1"),
        ({"channels": 0}, "`channels` must be an integer of at least 1"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resnet18_stages(**arguments)


def test_attribute_head_without_outputs() -> None:
    with pytest.raises(ValueError, match="`num_outputs` must be an integer"):
        attribute_head(0)
