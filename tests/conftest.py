"""What every test starts from: two CPU devices, one seed, a clean Keras."""

import os

# Read when TensorFlow is imported, hence before the imports below.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Iterator

import keras
import pytest
import tensorflow as tf

# Two logical devices make a real two-replica strategy on any machine. Must
# happen before TensorFlow runs anything.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

# Rewriting graphs so that they run faster takes longer than running them as
# seldom as tests do.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(autouse=True)
def _clean_keras() -> Iterator[None]:
    """Seeds all generators, and undoes what a test did to global state."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    # Without `free_memory`, which takes up to half a second each time.
    keras.backend.clear_session(free_memory=False)
