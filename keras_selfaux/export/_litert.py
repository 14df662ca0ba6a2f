"""`write_litert`: the primaries as a file for LiteRT, formerly TFLite."""

import pathlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux._checks import check_choice, check_positive, error
from keras_selfaux._files import Path
from keras_selfaux._types import Task
from keras_selfaux.export._agreement import Answers
from keras_selfaux.export._difference import rounding_tolerance
from keras_selfaux.export._full_precision import lowest_precision
from keras_selfaux.export._inputs import Batch, batches_of, input_specs
from keras_selfaux.export._new_file import check_new_file
from keras_selfaux.export._plain import plain_model
from keras_selfaux.export._tried_file import write_tried_file

# The largest difference that is allowed, relative to the range of answers.
# A trained network for images was found to differ by 0.001, 0.015 and 0.03;
# one that had hardly been trained, of small range, by 0.002, 0.08 and 0.12.
_TOLERANCES = {"float16": 0.02, "dynamic": 0.1, "int8": 0.1}


def write_litert(
    model: keras.Model,
    path: Path,
    examples: Any = None,
    tasks: Iterable[Task] | None = None,
    quantization: str | None = None,
    tolerance: float | None = None,
) -> dict[Task, float]:
    """Writes the primaries for LiteRT, and tries the file on examples.

    The file has one signature, for any batch size. Inputs and outputs have the
    model's types, or float32 where these are shorter floats. Outputs have the
    names of the tasks. Inputs have the keys of a dict of inputs, or the names
    that `keras.Input` was given; one without is called `inputs`. All operations
    are LiteRT's own. A model of mixed precision is written in float32.

    Args:
        model: A `SelfAuxModel` that has been built, or a functional Keras model
            whose output is a dict `{task: tensor}`.
        path: The file, which must end in `.tflite`. Nothing is ever
            overwritten, and the file appears at once and whole.
        examples: Inputs, as arrays `(N, ...)` in the structure of the model's
            inputs or a `tf.data.Dataset` of such batches without labels. The
            file must answer them as the model does. Some tens to hundreds
            suffice. Defaults to `None`: the file is not tried.
        tasks: The tasks to keep. Defaults to `None`: all.
        quantization: How numbers are kept:

            - `None` (default): weights and computations in float32;
            - `"float16"`: weights in half the size;
            - `"dynamic"`: larger weights in a quarter of the size, as int8,
              with computations in int8 where LiteRT can;
            - `"int8"`: weights and computations in int8, with the ranges of
              values that `examples` have, which must be given.
        tolerance: The largest difference from the model's answers that is
            allowed. Without quantization it is relative to the largest
            answer, where that is above 1, and defaults to 1e-5 (0.01 for a
            model that computes in float16, 0.08 in bfloat16). With it, it is
            relative to the range of a task's answers, and defaults to 0.02
            for `"float16"` and 0.1 for the others.

    Returns:
        The largest difference found, by task, relative as said above; empty
        without `examples`.

    Raises:
        ValueError: If an argument is wrong.
        FileExistsError: If `path` exists already.
        ImportError: If `examples` are given and LiteRT is not installed.
        RuntimeError: If LiteRT cannot run the model, or the file does not
            answer as the model does. No file is left.

    Example:

    >>> write_litert(model, "model.tflite", x_val[:100], quantization="int8")
    {'seg': 0.019, 'depth': 0.028}
    """
    check_choice("quantization", quantization, (None, *_TOLERANCES))
    if tolerance is not None:
        check_positive("tolerance", tolerance, zero=True, infinite=True)
    path = check_new_file(path, ".tflite")
    if quantization == "int8" and examples is None:
        raise error(
            "`quantization='int8'` needs the ranges of all values.",
            received="examples=None",
            remedy="Pass examples that are like what the model will be given.",
        )
    interpreter: Any = None if examples is None else _interpreter()
    plain = plain_model(model, tasks)
    specs = input_specs(plain)
    batches = [] if examples is None else batches_of(examples, specs)
    if tolerance is None:
        tolerance = rounding_tolerance(lowest_precision(plain))
        tolerance = max(tolerance, _TOLERANCES.get(quantization or "", 0.0))
    settings = _settings(quantization, batches)
    return write_tried_file(
        plain,
        path,
        specs,
        batches,
        lambda model, file: _export(model, file, specs, settings),
        lambda file: _runner(interpreter(model_path=str(file))),
        target="for LiteRT",
        remedy="Replace the layers that are named here, or leave "
        "`quantization` out.",
        tolerance=tolerance,
        of_range=quantization is not None,
    )


def _interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as cause:
        raise ImportError(
            "Trying a file needs LiteRT, which could not be imported. "
            f"Received: {cause}. Install it with "
            '`pip install "keras_selfaux[litert]"`, or leave `examples` out.'
        ) from cause
    return Interpreter


def _export(
    model: keras.Model, path: pathlib.Path, specs: Any, settings: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        # TensorFlow warns of the interpreter that it finds ranges with itself.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite", UserWarning)
        model.export(
            path,
            format="litert",
            verbose=False,
            input_signature=[specs],
            **settings,
        )


def _settings(
    quantization: str | None, batches: Sequence[Batch]
) -> dict[str, Any]:
    """Returns the attributes of TensorFlow's converter."""
    kinds = tf.lite.OpsSet
    # Keras would let operations of TensorFlow pass, which LiteRT cannot run.
    target: dict[str, Any] = {"supported_ops": [kinds.TFLITE_BUILTINS]}
    settings: dict[str, Any] = {"target_spec": target}
    if quantization is not None:
        settings["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        target["supported_types"] = [tf.float16]
    elif quantization == "int8":
        target["supported_ops"] = [kinds.TFLITE_BUILTINS_INT8]

        def ranges() -> Iterator[Batch]:
            yield from batches

        settings["representative_dataset"] = ranges
    return settings


def _runner(interpreter: Any) -> Any:
    runner = interpreter.get_signature_runner()

    def run(batch: Batch) -> Answers:
        # The runner adapts the file's tensors to the size of the batch.
        answers: Answers = runner(**batch)
        return answers

    return run
