r"""Seconds per training step of dense prediction, against PyTorch.

Half-shared ResNet-50 with DeepLab heads, three tasks and six clones. Two
variants at a time take their steps in turn, in one process and on one thread;
then each runs in a process of its own for its peak memory. Prints JSON.
Machines are noisy: read the ratios, of processor time if others are busy.

    python benchmarks/conv.py --rounds=5
"""

import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import measuring
import numpy as np
from absl import app, flags

import keras_selfaux
from keras_selfaux.architectures import deeplab_head, resnet50_stages

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Timed rounds; medians count.")
_BATCH = flags.DEFINE_integer("batch_size", 2, "Images per step.")
_HEIGHT = flags.DEFINE_integer("height", 96, "Height of the images.")
_WIDTH = flags.DEFINE_integer("width", 128, "Width of the images.")
_TORCH = flags.DEFINE_bool("torch", True, "Whether to run PyTorch's part.")
_MEMORY = flags.DEFINE_bool("memory", True, "Whether to measure memory.")
_ONLY = flags.DEFINE_list("only", None, "Variants to run in this process.")

OUTPUTS = {"segmentation": 13, "depth": 1, "normals": 3}
IGNORED = -1
SETTINGS = {  # weighting, auxiliaries
    "equal_no_clones": ("equal", "none"),
    "equal": ("equal", "all"),
    "auto_lambda": ("auto_lambda", "all"),
}

Step = Callable[[], None]


def make_batch() -> tuple[Any, Any]:
    """Draws images and labels, a tenth of the pixels without labels."""
    rng = np.random.default_rng(0)
    size = (_BATCH.value, _HEIGHT.value, _WIDTH.value)
    missing = rng.uniform(size=size) < 0.1
    classes = rng.integers(OUTPUTS["segmentation"], size=size)
    y = {"segmentation": np.where(missing, IGNORED, classes).astype("int32")}
    for task in ("depth", "normals"):
        values = rng.normal(size=(*size, OUTPUTS[task])).astype("float32")
        values[missing] = np.nan
        y[task] = values
    return rng.normal(size=(*size, 3)).astype("float32"), y


def keras_step(weighting: str, auxiliaries: str) -> Step:
    """Returns a function that takes one step of `SelfAuxModel`."""
    encoder = keras_selfaux.layers.BranchedEncoder(resnet50_stages(), "half")
    heads = {task: deeplab_head(n) for task, n in OUTPUTS.items()}
    model = keras_selfaux.SelfAuxModel(encoder, heads, auxiliaries)
    model.build((None, _HEIGHT.value, _WIDTH.value, 3))
    losses = {
        "segmentation": keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=IGNORED
        ),
        "depth": keras.losses.MeanAbsoluteError(),
        "normals": keras.losses.CosineSimilarity(),
    }
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-4),
        loss=losses,
        weighting=weighting,
        jit_compile=False,  # XLA's convolutions are slower on a CPU
    )
    x, y = make_batch()

    def run() -> None:
        model.train_on_batch(x, y, meta_data=(x, y))

    return run


def torch_step(weighting: str, auxiliaries: str) -> Step:
    """Returns a function that takes one step of the PyTorch reference."""
    import torch
    import torch_conv_reference

    torch.set_num_threads(1)
    network = torch_conv_reference.Network(clones=auxiliaries == "all")
    reference = torch_conv_reference.TorchConvReference(weighting, network)
    generator = torch.Generator().manual_seed(0)
    data = torch_conv_reference.make_batch(
        _BATCH.value, _HEIGHT.value, _WIDTH.value, generator
    )

    def run() -> None:
        reference.train_step(*data, *data)

    return run


def make_step(name: str) -> Step:
    """Returns the step of a variant such as `"torch_equal"`."""
    library, _, setting = name.partition("_")
    if library == "torch":
        return torch_step(*SETTINGS[setting])
    scope: Any = contextlib.nullcontext()
    if library == "remat":
        scope = keras.RematScope(mode="full")
    with scope:
        return keras_step(*SETTINGS[setting])


def measure(names: list[str], rounds: int) -> dict[str, Any]:
    """Takes the variants' steps in turn.

    Args:
        names: The variants.
        rounds: Number of timed steps of each.

    Returns:
        For each variant and clock the median of the seconds per step, how
        long the first step took, and the peak memory of it all in MiB.
    """
    steps = {name: make_step(name) for name in names}
    timed = measuring.take_turns(steps, rounds)
    result: dict[str, Any] = {
        "first_step_s": {n: round(t.first, 1) for n, t in timed.items()},
        "peak_memory_mib": round(measuring.peak_memory() / 2**20, 1),
    }
    for clock in measuring.CLOCKS:
        result[f"{clock}_s"] = {
            name: round(statistics.median(getattr(times, clock)), 3)
            for name, times in timed.items()
        }
    return result


def compare(one: str, other: str) -> dict[str, Any]:
    """Compares two variants in a process that holds nothing else."""
    result = in_own_process([one, other], _ROUNDS.value)
    for clock in measuring.CLOCKS:
        times = result.get(f"{clock}_s")
        if times:
            ratio = times[one] / times[other]
            result[f"{clock}_ratio"] = round(ratio, 2)
    return result


def in_own_process(names: list[str], rounds: int) -> dict[str, Any]:
    """Returns what `measure` finds in a process of its own."""
    try:
        result: dict[str, Any] = measuring.in_own_process(
            f"--only={','.join(names)}", f"--rounds={rounds}"
        )
    except subprocess.CalledProcessError as problem:
        return {"error": str(problem)}  # one may need too much memory
    return result


def main(_: list[str]) -> None:
    """Prints one JSON object."""
    measuring.start_keras()
    if _ONLY.value:
        print(json.dumps(measure(_ONLY.value, _ROUNDS.value)))
        return
    libraries = ["keras", "torch"] if _TORCH.value else ["keras"]
    result: dict[str, Any] = {
        "auto_lambda_over_equal": {
            library: compare(f"{library}_auto_lambda", f"{library}_equal")
            for library in libraries
        }
    }
    if _TORCH.value:
        result["torch_over_keras"] = {
            setting: compare(f"torch_{setting}", f"keras_{setting}")
            for setting in SETTINGS
        }
    if _MEMORY.value:
        result["peak_memory_mib"] = {
            name: in_own_process([name], 1).get("peak_memory_mib", "failed")
            for library in (*libraries, "remat")
            for name in (f"{library}_{setting}" for setting in SETTINGS)
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app.run(main)
