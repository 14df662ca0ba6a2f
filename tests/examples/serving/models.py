"""The models that are served in tests, and how they are written."""

import pathlib

import keras
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

SIDE = 4


class Served:
    """A model of two tasks on points, which can be asked in several ways.

    Args:
        scale: What answers are multiplied by, to tell versions apart.
    """

    def __init__(self, scale: float = 1.0) -> None:
        x = keras.Input((2,))
        hidden = keras.layers.Dense(8, activation="tanh")(x)
        outputs = {
            "arm_0": keras.layers.Rescaling(scale)(
                keras.layers.Dense(3)(hidden)
            ),
            "arm_1": keras.layers.Rescaling(scale)(
                keras.layers.Dense(1)(hidden)
            ),
        }
        self.model = keras.Model(x, outputs)

    def write(self, path: pathlib.Path, warm_up: bytes | None = None) -> None:
        """Writes a version, with the records of a warm-up if there are any."""
        points = tf.TensorSpec((None, 2), name="inputs")
        images = tf.TensorSpec((None,), tf.string, name="image_bytes")
        whole = tf.TensorSpec((None,), tf.int32, name="number")
        archive = keras.export.ExportArchive()
        archive.track(self.model)
        for name in ("serving_default", "serve"):
            archive.add_endpoint(name, self.answer, input_signature=[points])
        archive.add_endpoint("arm_0", self.first, input_signature=[points])
        archive.add_endpoint("image_bytes", see, input_signature=[images])
        archive.add_endpoint("named", name_it, input_signature=[whole])
        archive.add_endpoint("sum", add, input_signature=[points, whole])
        archive.write_out(str(path), verbose=False)
        if warm_up is not None:
            file = path / "assets.extra" / "tf_serving_warmup_requests"
            file.parent.mkdir()
            with tf.io.TFRecordWriter(str(file)) as writer:
                writer.write(warm_up)

    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns both tasks' answers."""
        return self.model(x)

    def first(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the answers of one task."""
        return {"arm_0": self.model(x)["arm_0"]}


def see(data: tf.Tensor) -> dict[str, tf.Tensor]:
    """Decodes images and returns pictures of them."""
    images = tf.map_fn(
        decode,
        data,
        fn_output_signature=tf.TensorSpec((SIDE, SIDE, 3)),
    )
    return {
        "seg": images,
        "depth": tf.reduce_mean(images, axis=-1, keepdims=True),
        "normal": images - 0.5,
        "bright": tf.reduce_mean(images, axis=(1, 2))[:, :1],
    }


def decode(data: tf.Tensor) -> tf.Tensor:
    """Returns an image of fixed size, from 0 to 1."""
    pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    return tf.image.resize(pixels, (SIDE, SIDE)) / 255.0


def name_it(number: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns strings, as texts and as bytes."""
    text = tf.strings.as_string(number)
    return {"text": text, "raw_bytes": text + b"\xff"}


def add(inputs: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the sums of rows of two inputs."""
    return {"sum": tf.reduce_sum(inputs, 1) + tf.cast(number, tf.float32)}


def warm_up_record(signature: str, x: object) -> bytes:
    """Returns the record of a request that warms up a version."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(x))
    return log.SerializeToString()
