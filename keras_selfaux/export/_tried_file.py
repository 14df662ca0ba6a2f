"""A model as one file, tried in its own runtime before it appears."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_selfaux._types import Task
from keras_selfaux.export._agreement import Answers, check_agreement
from keras_selfaux.export._full_precision import in_float32
from keras_selfaux.export._inputs import Batch
from keras_selfaux.export._new_file import new_file


def write_tried_file(
    plain: keras.Model,
    path: pathlib.Path,
    specs: Any,
    batches: Sequence[Batch],
    convert: Callable[[keras.Model, pathlib.Path], None],
    load: Callable[[pathlib.Path], Callable[[Batch], Answers]],
    *,
    target: str,
    remedy: str,
    tolerance: float,
    of_range: bool = False,
) -> dict[Task, float]:
    """Writes a file, and compares what it answers with the model.

    Args:
        plain: A functional model with dict outputs.
        path: The file.
        specs: What `input_specs` said of the model.
        batches: What to ask; without any the file is not tried.
        convert: Writes the model, in full precision, into a file.
        load: Returns what answers by such a file.
        target: What for, in the words of an error.
        remedy: What to do where the model cannot be converted.
        tolerance: As for `check_agreement`.
        of_range: As for `check_agreement`.

    Returns:
        The largest difference found, by task; empty without `batches`.

    Raises:
        FileExistsError: If `path` has been taken in the meantime.
        RuntimeError: If the model cannot be converted, or the file does not
            answer as the model does. No file is left.
    """
    with new_file(path) as unfinished:
        try:
            convert(in_float32(plain), unfinished)
        except OSError:
            raise
        except Exception as cause:  # Converters have no one kind of error.
            raise RuntimeError(
                f"The model cannot be converted {target}. Received: "
                f"{type(cause).__name__}: {cause}. {remedy}"
            ) from cause
        if not batches:
            return {}
        return check_agreement(
            plain,
            specs,
            batches,
            load(unfinished),
            tolerance=tolerance,
            of_range=of_range,
        )
