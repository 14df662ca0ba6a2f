"""`resnet50_stages` against Keras's ResNet-50, and against itself."""

import keras
import numpy as np
import pytest

from keras_selfaux.architectures import resnet50_stages


def apply(stages: list, x: np.ndarray) -> np.ndarray:
    for stage in stages:
        x = stage(x)
    return np.asarray(x)


def images(height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, height, width, channels)).astype("float32")


@pytest.mark.slow
def test_weights_of_keras_give_its_features(tmp_path) -> None:
    theirs = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()]
            )
    path = tmp_path / "resnet50.weights.h5"
    theirs.save_weights(path)
    ours = resnet50_stages(32, weights=path)
    x = images(64, 96)
    np.testing.assert_allclose(apply(ours, x), theirs(x), rtol=1e-5, atol=1e-5)
    assert len(ours) == 5
    assert sum(stage.count_params() for stage in ours) == theirs.count_params()
    # Bytes, as the published weights take them and as the pipeline gives them.
    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3))
    preprocess = keras.applications.resnet.preprocess_input
    wanted = theirs(preprocess(pixels.astype("float32")))
    ours = resnet50_stages(32, weights=path, pipeline_images=True)
    found = apply(ours, (pixels / 127.5 - 1).astype("float32"))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_dilation_fills_in_what_strides_leave_out(output_stride, size) -> None:
    arguments = {"blocks": (1, 1, 2, 2), "filters": 4}
    strided = resnet50_stages(32, **arguments)
    dilated = resnet50_stages(output_stride, **arguments)
    for one, other in zip(strided, dilated, strict=True):
        other.set_weights(one.get_weights())
    x = images(*size)
    step = 32 // output_stride
    found, wanted = apply(dilated, x), apply(strided, x)
    assert found.shape[1:3] == tuple(-(-n // output_stride) for n in size)
    np.testing.assert_allclose(
        found[:, ::step, ::step], wanted, rtol=1e-4, atol=1e-5
    )


def test_channels_may_be_other_than_three() -> None:
    stages = resnet50_stages(blocks=(1, 1, 1, 1), filters=2, channels=5)
    assert apply(stages, images(32, 32, 5)).shape == (2, 4, 4, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"channels": 4, "pipeline_images": True},
            "`pipeline_images` are red, green and blue",
        ),
        ({"output_stride": 4}, "`output_stride` must be one of"),
        ({"blocks": (1, 1, 1)}, "`blocks` must give the number of blocks"),
        (
            {"filters": 8, "blocks": (1, 1, 1, 1), "weights": "imagenet"},
            "`weights` are those of ResNet-50",
        ),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resnet50_stages(**arguments)
