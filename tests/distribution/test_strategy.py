import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
import tensorflow as tf

from keras_selfaux.distribution import check_compilation, make_strategy
from tests.distribution.programs import labelled
from tests.integration.models import compile_model, make_model
from tests.replicas import two_replicas

ROOT = pathlib.Path(__file__).parents[2]


def test_none_is_the_default_strategy_or_one_device() -> None:
    assert make_strategy() is tf.distribute.get_strategy()
    strategy = make_strategy("none", "cpu:1")
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.extended.worker_devices[0].endswith("CPU:1")
    with strategy.scope():
        model = make_model()
        compile_model(model)
    model.fit(*labelled(12, 0), verbose=0)
    assert model.trainable_variables[0].value.device.endswith("CPU:1")


@pytest.mark.parametrize(
    "devices", [2, "2", None, ["CPU:0", "cpu:1"], "CPU:0, /device:CPU:1"]
)
def test_mirrored_takes_numbers_and_names(devices: Any) -> None:
    strategy = make_strategy("mirrored", devices)
    names = [name[-5:] for name in strategy.extended.worker_devices]
    assert names == ["CPU:0", "CPU:1"]
    # One for the whole process: see tests/replicas.py.
    assert strategy is two_replicas()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("best",),
            "`name` must be one of ['none', 'mirrored', 'multiworker']",
        ),
        (
            ("mirrored", ["GPU:0", "GPU:1"]),
            "A strategy was asked for with GPU:0, GPU:1. Received: a machine "
            "with 0 GPU(s) and 2 CPU device(s). Ask for no more",
        ),
        (
            ("mirrored", 3),
            "A strategy was asked for with CPU:0, CPU:1, CPU:2. Received: a "
            "machine with 0 GPU(s) and 2 CPU device(s). TensorFlow has started "
            "with fewer CPU devices: make the strategy before",
        ),
        (("mirrored", 0), "`devices` must be one device or several different"),
        (("mirrored", "CPU:0,CPU:0"), "Name every device once."),
        (("mirrored", "TPU:0"), "`devices` has an entry that names no device."),
        (("mirrored", [1]), "Received: 1. Use names like"),
        (("mirrored", 1.5), "`devices` must be a number, names of devices"),
        (
            ("none", 2),
            'Strategy "none" runs on one device. Received: devices=2',
        ),
        (("multiworker", 2), "Workers take all GPUs that they can see."),
    ],
)
def test_what_cannot_be_made(arguments: Any, message: str) -> None:
    tf.config.list_logical_devices()  # TensorFlow has started
    with pytest.raises(ValueError, match=re.escape(message)):
        make_strategy(*arguments)


def test_only_workers_have_a_cluster() -> None:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    with pytest.raises(ValueError, match="Strategy 'none' has no workers"):
        make_strategy(cluster_resolver=resolver)


def test_workers_are_joined_before_tensorflow_starts() -> None:
    tf.config.list_logical_devices()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": ["127.0.0.1:1", "127.0.0.1:2"]}),
        task_type="worker",
        task_id=0,
    )
    with pytest.raises(
        ValueError, match="Workers must be joined before TensorFlow starts"
    ):
        make_strategy("multiworker", cluster_resolver=resolver)


def test_a_cpu_is_divided_in_a_new_program() -> None:
    program = (
        "from keras_selfaux.distribution import make_strategy; "
        "print(make_strategy('mirrored', 'CPU:2,CPU:0').num_replicas_in_sync)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "2"


def test_xla_cannot_compile_replicas_on_cpus() -> None:
    with two_replicas().scope():
        model = make_model()
        compile_model(model, jit_compile=True)
    with pytest.raises(
        ValueError,
        match=r"XLA cannot compile what replicas on CPUs exchange\. Received: "
        r"jit_compile=True with 2 replicas\. Compile the model with",
    ):
        model.fit(*labelled(12, 0), verbose=0)
    check_compilation(False, two_replicas())
    check_compilation(True, make_strategy())
