"""`write_onnx`: the primaries as an ONNX file."""

import importlib
import warnings
from collections.abc import Iterable
from typing import Any

import keras

from keras_selfaux._checks import check_positive, error
from keras_selfaux._files import Path
from keras_selfaux._types import Task
from keras_selfaux.export._agreement import Answers
from keras_selfaux.export._difference import rounding_tolerance
from keras_selfaux.export._full_precision import lowest_precision
from keras_selfaux.export._inputs import Batch, batches_of, input_specs
from keras_selfaux.export._new_file import check_new_file
from keras_selfaux.export._plain import plain_model
from keras_selfaux.export._tried_file import write_tried_file


def write_onnx(
    model: keras.Model,
    path: Path,
    examples: Any = None,
    tasks: Iterable[Task] | None = None,
    tolerance: float | None = None,
) -> dict[Task, float]:
    """Writes the primaries as an ONNX file, and tries it on examples.

    It takes any batch size. Inputs and outputs have the model's types, or
    float32 where these are shorter floats. Outputs have the names of the tasks.
    Inputs have the keys of a dict of inputs, or the names that `keras.Input`
    was given; one without is called `inputs`. A model of mixed precision is
    written in float32.

    Args:
        model: A `SelfAuxModel` that has been built, or a functional Keras model
            whose output is a dict `{task: tensor}`.
        path: The file, which must end in `.onnx`. Nothing is ever overwritten,
            and the file appears at once and whole.
        examples: Inputs, as arrays `(N, ...)` in the structure of the model's
            inputs or a `tf.data.Dataset` of such batches without labels. ONNX
            Runtime must answer them as the model does. Defaults to `None`: the
            file is not tried.
        tasks: The tasks to keep. Defaults to `None`: all.
        tolerance: The largest difference from the model's answers that is
            allowed, relative to a task's largest answer where that is above 1.
            Defaults to `None`: 1e-5, or 0.01 for a model that computes in
            float16 and 0.08 in bfloat16.

    Returns:
        The largest difference found, by task, relative as said above; empty
        without `examples`.

    Raises:
        ValueError: If an argument is wrong, or an input has a task's name.
        FileExistsError: If `path` exists already.
        ImportError: If a package is missing.
        RuntimeError: If the model cannot be converted, or the file does not
            answer as the model does. No file is left.

    Example:

    >>> write_onnx(model, "model.onnx", x_val[:100])
    {'seg': 4.1e-07, 'depth': 2.4e-07}
    """
    if tolerance is not None:
        check_positive("tolerance", tolerance, zero=True, infinite=True)
    path = check_new_file(path, ".onnx")
    checker, runtime = _import_all(runs=examples is not None)
    plain = plain_model(model, tasks)
    specs = input_specs(plain)
    _check_names(specs, plain.output)
    batches = [] if examples is None else batches_of(examples, specs)
    if tolerance is None:
        tolerance = rounding_tolerance(lowest_precision(plain))
    return write_tried_file(
        plain,
        path,
        specs,
        batches,
        lambda model, file: _export(model, str(file), specs, checker),
        lambda file: _runner(runtime, str(file)),
        target="to ONNX",
        remedy="Replace the layers that are named here.",
        tolerance=tolerance,
    )


def _import_all(*, runs: bool) -> tuple[Any, Any]:
    """Returns ONNX's checker and, if it will be needed, ONNX Runtime."""
    try:
        checker = importlib.import_module("onnx.checker")
        # Keras imports it where the work is half done.
        importlib.import_module("tf2onnx")
        runtime = importlib.import_module("onnxruntime") if runs else None
    except ImportError as cause:
        raise ImportError(
            "ONNX files need onnx, tf2onnx and, to be tried on `examples`, "
            f"onnxruntime. Received: {cause}. Install them with "
            '`pip install "keras_selfaux[onnx]"`.'
        ) from cause
    return checker, runtime


def _check_names(specs: Any, tasks: dict[Task, Any]) -> None:
    names = [spec.name for spec in keras.tree.flatten(specs)]
    if both := sorted(set(names) & set(tasks)):
        raise error(
            "An ONNX file cannot have an input and an output of one name.",
            received=f"{both} among inputs {names} and tasks {list(tasks)}",
            remedy="Give the input another name.",
        )


def _export(model: keras.Model, path: str, specs: Any, checker: Any) -> None:
    with warnings.catch_warnings():
        # Keras looks for a name that NumPy 2 has removed.
        warnings.filterwarnings("ignore", "In the future `np", FutureWarning)
        model.export(
            path, format="onnx", verbose=False, input_signature=[specs]
        )
    # The converter leaves operations that ONNX lacks as they are.
    checker.check_model(path)


def _runner(runtime: Any, path: str) -> Any:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(batch: Batch) -> Answers:
        return dict(zip(names, session.run(names, batch), strict=True))

    return run
