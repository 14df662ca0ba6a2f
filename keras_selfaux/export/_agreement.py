"""Whether an exported file answers as its model does."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_selfaux._types import Task
from keras_selfaux.export._difference import difference
from keras_selfaux.export._inputs import Batch

Answers = Mapping[Task, NDArray[Any]]


def check_agreement(
    model: keras.Model,
    specs: Any,
    batches: Iterable[Batch],
    run: Callable[[Batch], Answers],
    *,
    tolerance: float,
    of_range: bool = False,
) -> dict[Task, float]:
    """Returns by how much a file's answers differ from its model's, by task.

    Args:
        model: A functional model with dict outputs.
        specs: What `input_specs` said of it.
        batches: What `batches_of` returned.
        run: Returns the file's answers to a batch.
        tolerance: The largest difference that is allowed.
        of_range: What differences are relative to: the range of the model's
            answers (from their smallest to their largest), or, by default,
            the largest of their absolute values or 1, whichever is larger.

    Raises:
        RuntimeError: If a task's answers differ by more than `tolerance`.
    """
    names = [spec.name for spec in keras.tree.flatten(specs)]
    wanted: dict[Task, list[NDArray[Any]]] = {task: [] for task in model.output}
    found: dict[Task, list[NDArray[Any]]] = {task: [] for task in model.output}
    for batch in batches:
        inputs = [batch[name] for name in names]
        predictions = model(
            keras.tree.pack_sequence_as(specs, inputs), training=False
        )
        answers = run(batch)
        for task, prediction in predictions.items():
            wanted[task].append(_as_float64(prediction))
            found[task].append(_as_float64(answers[task]))
    differences = {
        task: _difference(
            np.concatenate(found[task]), np.concatenate(right), of_range
        )
        for task, right in wanted.items()
    }
    for task, gap in differences.items():
        # Not by `>`, which is false of NaN.
        if not gap <= tolerance:
            scale = "of the answers' range" if of_range else "of their size"
            raise RuntimeError(
                "The exported file does not answer as the model does. "
                f"Received: answers for task {task!r} that differ by up to "
                f"{gap:.3g} {scale}, with tolerance={tolerance:g}. "
                "Pass more `examples`, export in higher precision, or allow a "
                "larger `tolerance`."
            )
    return differences


def _as_float64(values: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(values), np.float64)


def _difference(found: Any, wanted: Any, of_range: bool) -> float:
    finite = wanted[np.isfinite(wanted)]
    # Answers that are all alike have no range.
    extent = float(np.ptp(finite)) if of_range and finite.size else 0.0
    return difference(found, wanted, scale=extent or 1.0 if of_range else None)
