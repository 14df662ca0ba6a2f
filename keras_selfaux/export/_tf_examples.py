"""Servables that are sent `tf.train.Example` messages."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor
from keras_selfaux.export._inputs import Batch
from keras_selfaux.export._signature import Endpoint, Signature


class TFExamples(Signature):
    """Takes `tf.train.Example` messages with a feature for every input.

    Its input is called `examples`, and is a tensor of strings, `(batch,)`.
    Inputs of integers or booleans are read from lists of int64, strings from
    lists of bytes, all others from lists of floats.

    Args:
        name: What clients call the signature. Defaults to `"tf_examples"`.
    """

    def __init__(self, name: str = "tf_examples") -> None:
        super().__init__(name)

    def endpoint(self, model: keras.Model, specs: Any) -> Endpoint:
        flat = tf.nest.flatten(specs)
        features = {spec.name: self._feature(spec) for spec in flat}

        def call(examples: Tensor) -> dict[str, Tensor]:
            found = tf.io.parse_example(examples, features)
            inputs = [tf.cast(found[spec.name], spec.dtype) for spec in flat]
            answers: dict[str, Tensor] = model(
                tf.nest.pack_sequence_as(specs, inputs), training=False
            )
            return answers

        return call, [tf.TensorSpec((None,), tf.string, "examples")]

    def _feature(self, spec: tf.TensorSpec) -> tf.io.FixedLenFeature:
        if None in spec.shape[1:]:
            raise error(
                f"The signature {self.name!r} is for inputs of fixed shape.",
                received=f"the input {spec.name!r} of shape {spec.shape}",
                remedy="Leave the signature out, or fix the shape.",
            )
        if spec.dtype.is_complex:
            raise error(
                f"The signature {self.name!r} is for numbers and strings.",
                received=f"the input {spec.name!r} of {spec.dtype.name}",
                remedy="Leave the signature out, or pass real and imaginary "
                "parts.",
            )
        return tf.io.FixedLenFeature(spec.shape[1:], _stored_type(spec.dtype))

    def request(self, batch: Batch, specs: Any) -> tuple[Batch, Batch]:
        flat = tf.nest.flatten(specs)
        dtypes = {spec.name: _stored_type(spec.dtype) for spec in flat}
        count = len(next(iter(batch.values())))
        messages = [
            tf.train.Example(
                features=tf.train.Features(
                    feature={
                        name: _as_feature(np.ravel(array[i]), dtypes[name])
                        for name, array in batch.items()
                    }
                )
            ).SerializeToString()
            for i in range(count)
        ]
        return {"examples": np.array(messages, object)}, batch


def _stored_type(dtype: tf.DType) -> tf.DType:
    if dtype.is_integer or dtype.is_bool:
        return tf.int64
    return tf.string if dtype == tf.string else tf.float32


def _as_feature(values: Any, dtype: tf.DType) -> tf.train.Feature:
    if dtype == tf.int64:
        whole = tf.train.Int64List(value=map(int, values))
        return tf.train.Feature(int64_list=whole)
    if dtype == tf.string:
        # NumPy's strings are texts.
        texts = tf.train.BytesList(value=map(tf.compat.as_bytes, values))
        return tf.train.Feature(bytes_list=texts)
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
