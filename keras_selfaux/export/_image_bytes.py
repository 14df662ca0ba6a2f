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

_ROUNDING = 1e-3


class ImageBytes(Signature):
    """Takes encoded images.

    Colour images may be JPEG, PNG, GIF (the first frame) or BMP, those of one
    channel JPEG or PNG, those of four PNG. They are decoded, resized by
    averaging over areas, and scaled from -1 to 1, as `keras_selfaux.datasets`
    does it for training; a model of integers is given bytes. The input is
    called `image_bytes` too, and is a tensor of strings, `(batch,)`.

    Args:
        name: What clients call the signature. Defaults to `"image_bytes"`.
        size: Height and width that the model is given. Defaults to `None`:
            those of the model's input.
        preprocess: Maps images of bytes, uint8 `(batch, height, width,
            channels)`, to what the model was trained on, if that was not
            scaled from -1 to 1. It becomes part of the servable, so that it
            must be made of TensorFlow operations. Defaults to `None`.

    Raises:
        ValueError: If `size` is no height and width, or `preprocess` no
            function.

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
        if size is not None and not (
            isinstance(size, tuple | list)
            and len(size) == 2
            and all(type(n) is int and n > 0 for n in size)
        ):
            raise error(
                "`size` must be height and width in pixels.",
                received=f"size={size!r}",
                remedy="Pass, say, (96, 128), or leave it out.",
            )
        if preprocess is not None and not callable(preprocess):
            raise error(
                "`preprocess` must be a function of images.",
                received=f"preprocess={preprocess!r:.100}",
                remedy="Pass, say, `lambda pixels: pixels / 255`.",
            )
        self.size = size
        self.preprocess = preprocess

    def endpoint(self, model: keras.Model, specs: Any) -> Endpoint:
        height, width, channels = self._shape(specs)
        as_trained = self._as_trained(specs)

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
            answers: dict[str, Tensor] = model(
                as_trained(pixels), training=False
            )
            return answers

        return call, [tf.TensorSpec((None,), tf.string, "image_bytes")]

    def request(self, batch: Batch, specs: Any) -> tuple[Batch, Batch]:
        pixels = self._pixels(batch, specs)
        encoded = [tf.io.encode_png(image).numpy() for image in pixels]
        ((name, _),) = batch.items()
        return (
            {"image_bytes": np.array(encoded, object)},
            {name: self._as_trained(specs)(pixels).numpy()},
        )

    def _pixels(self, batch: Batch, specs: Any) -> Any:
        """Returns images of bytes that come close to those of a batch."""
        (images,) = batch.values()
        if self.preprocess is not None:
            # It cannot be undone, but any picture warms up.
            return np.zeros((len(images), *self._shape(specs)), np.uint8)
        if specs.dtype.is_integer:
            return images.astype(np.uint8)
        if not np.all(np.abs(images) <= 1 + _ROUNDING):
            raise error(
                f"The signature {self.name!r} scales images from -1 to 1, "
                "which is not what the model is given.",
                received=f"`examples` from {images.min():.3g} to "
                f"{images.max():.3g}",
                remedy="Tell what the model was trained on by "
                "`ImageBytes(preprocess=...)`.",
            )
        return _images.as_pixels(images)

    def _as_trained(self, specs: Any) -> Callable[[Tensor], Tensor]:
        """Returns what maps images of bytes to what the model takes."""
        if self.preprocess is not None:
            scale = self.preprocess
        elif specs.dtype.is_integer:
            scale = tf.identity
        else:
            scale = _images.scaled
        return lambda pixels: tf.cast(scale(pixels), specs.dtype)

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
