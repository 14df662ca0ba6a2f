"""Servables that are sent encoded images."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux import _images
from keras_selfaux._checks import error
from keras_selfaux._types import Tensor
from keras_selfaux.export._inputs import Batch
from keras_selfaux.export._signature import Endpoint, Signature


class ImageBytes(Signature):
    """Takes encoded images: JPEG, PNG, GIF (the first frame) or BMP.

    They are decoded, resized by averaging over areas, and scaled from -1 to 1,
    as `keras_selfaux.datasets` does it for training. The input is called
    `image_bytes` too, and is a tensor of strings, `(batch,)`.

    Args:
        name: What clients call the signature. Defaults to `"image_bytes"`.
        size: Height and width that the model is given. Defaults to `None`:
            those of the model's input.
        preprocess: Maps images of bytes, uint8 `(batch, height, width,
            channels)`, to what the model was trained on, if that was not
            scaled from -1 to 1. It becomes part of the servable, so that it
            must be made of TensorFlow operations. Defaults to `None`.

    Example:

    >>> half = export.ImageBytes(preprocess=lambda pixels: pixels / 255)
    >>> export.write_servable(model, "served/rooms", signatures=[half])
    """

    def __init__(
        self,
        name: str = "image_bytes",
        *,
        size: tuple[int, int] | None = None,
        preprocess: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(name)
        self.size = size
        self.preprocess = preprocess

    def endpoint(self, model: keras.Model, specs: Any) -> Endpoint:
        height, width, channels = self._shape(specs)
        preprocess = self.preprocess or _images.scaled

        def decoded(encoded: Tensor) -> Tensor:
            pixels = tf.io.decode_image(
                encoded, channels, expand_animations=False
            )
            return _images.resized(pixels, (height, width))

        def call(image_bytes: Tensor) -> dict[str, Tensor]:
            pixels = tf.map_fn(
                decoded,
                image_bytes,
                fn_output_signature=tf.TensorSpec(
                    (height, width, channels), tf.uint8
                ),
            )
            inputs = tf.cast(preprocess(pixels), specs.dtype)
            answers: dict[str, Tensor] = model(inputs, training=False)
            return answers

        return call, [tf.TensorSpec((None,), tf.string, "image_bytes")]

    def request(self, batch: Batch, specs: Any) -> Batch:
        (images,) = batch.values()
        if self.preprocess is None:
            pixels = _images.as_pixels(images)
        else:  # which cannot be undone: any picture warms up
            pixels = np.zeros((len(images), *self._shape(specs)), np.uint8)
        encoded = [tf.io.encode_png(image).numpy() for image in pixels]
        return {"image_bytes": np.array(encoded, object)}

    def _shape(self, specs: Any) -> tuple[int, int, int]:
        is_image = isinstance(specs, tf.TensorSpec) and specs.shape.rank == 4
        if not is_image or specs.shape[-1] not in (1, 3, 4):
            raise error(
                f"The signature {self.name!r} is for models of one image, "
                "(batch, height, width, channels) with 1, 3 or 4 channels.",
                received=f"a model with the inputs {specs}",
                remedy="Leave the signature out.",
            )
        _, height, width, channels = specs.shape
        height, width = self.size or (height, width)
        if height is None or width is None:
            raise error(
                f"The signature {self.name!r} must know what size images are "
                "to have.",
                received="size=None and a model for images of any size",
                remedy="Pass `ImageBytes(size=(height, width))`.",
            )
        if not specs.shape.is_compatible_with((None, height, width, channels)):
            raise error(
                f"`size` must be the size of images that the model takes, "
                f"{tuple(specs.shape[1:3])}.",
                received=f"size={(height, width)}",
                remedy="Leave it out.",
            )
        return height, width, channels
