"""`plot_predictions`: images beside what is true of them and predicted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_selfaux._checks import check_choice, check_same_tasks, error
from keras_selfaux._types import Task
from keras_selfaux.plots._style import pyplot

KINDS = ("classes", "depth", "disparity", "normals", "attribute")

_MISSING_CLASS = 255
_MISSING_COLOR = (0.93, 0.93, 0.93)
_MAX_CLASSES = 20  # as many colours has the map


def plot_predictions(
    images: ArrayLike,
    labels: Mapping[Task, ArrayLike],
    predictions: Mapping[Task, ArrayLike],
    kinds: Mapping[Task, str],
) -> Any:
    """Draws images, each with truth and prediction of every task beside it.

    Args:
        images: Shape `(N, height, width, 3)` or `(N, height, width, 1)`, uint8
            or from 0 to 1.
        labels: `{task: labels}`, as `datasets.pipeline.batches` gives them: NaN
            (255 for classes) is missing, and grey in the picture.
        predictions: `{task: predictions}`, as `model.predict` gives them.
        kinds: What the labels are, by task:

            - `"classes"`: labels `(N, height, width, 1)` of class numbers below
              255; predictions `(N, height, width, classes)`, of which the
              largest counts. Classes 20 apart have the same colour.
            - `"depth"`, `"disparity"`: `(N, height, width, 1)`. Truth and
              prediction have the same scale of colours.
            - `"normals"`: `(N, height, width, 3)`, of any length; x, y and z
              are red, green and blue.
            - `"attribute"`: labels `(N, 1)` of 0 and 1; predictions are
              logits, and shown as probabilities.

    Returns:
        An array of Matplotlib axes, `(N, columns)`.

    Raises:
        ValueError: If there is no image, tasks differ, or a kind is unknown.
        ImportError: If Matplotlib is not installed.

    Example:

    >>> axes = plots.plot_predictions(
    ...     images, labels, model.predict(x), {"seg": "classes"}
    ... )
    >>> axes[0, 0].figure.savefig("predictions.png")
    """
    pictures = np.asarray(images)
    if pictures.ndim != 4 or not len(pictures):
        raise error(
            "`images` must be of shape (N, height, width, channels).",
            received=f"shape {pictures.shape}",
            remedy="Pass a batch of images, at least one.",
        )
    check_same_tasks("labels", labels, kinds)
    check_same_tasks("predictions", predictions, kinds)
    for task, kind in kinds.items():
        check_choice(f"kinds[{task!r}]", kind, KINDS)
    widths = [1.0]
    for kind in kinds.values():
        widths += [0.4, 0.4] if kind == "attribute" else [1.0, 1.0]
    aspect = pictures.shape[1] / pictures.shape[2]
    figure, axes = pyplot().subplots(
        len(pictures),
        len(widths),
        figsize=(1.8 * sum(widths), 1.8 * aspect * len(pictures) + 0.4),
        layout="constrained",
        squeeze=False,
        width_ratios=widths,
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    for ax in axes.flat:
        ax.set_axis_off()
    _show(axes[:, 0], "image", list(pictures))
    for number, (task, kind) in enumerate(kinds.items()):
        of_task = axes[:, 1 + 2 * number : 3 + 2 * number]
        found = np.asarray(labels[task]), np.asarray(predictions[task])
        if kind == "attribute":
            _write(of_task, task, *found)
            continue
        truth, prediction = _painted(kind, *found)
        _show(of_task[:, 0], task, truth)
        _show(of_task[:, 1], "predicted", prediction)
    return axes


def _show(column: Any, title: str, pictures: list[NDArray[Any]]) -> None:
    column[0].set_title(title, fontsize="small")
    for ax, picture in zip(column, pictures, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, interpolation="nearest")


def _write(
    columns: Any, task: Task, truth: NDArray[Any], logits: NDArray[Any]
) -> None:
    columns[0, 0].set_title(task.replace("_", "\n"), fontsize="x-small")
    for (left, right), label, logit in zip(columns, truth, logits, strict=True):
        known = "?" if np.isnan(label[0]) else "yes" if label[0] else "no"
        probability = 1 / (1 + np.exp(-np.float64(logit[0])))
        for ax, text in ((left, known), (right, f"{probability:.2f}")):
            ax.text(0.5, 0.5, text, ha="center", va="center", fontsize="small")


def _painted(
    kind: str, truth: NDArray[Any], prediction: NDArray[Any]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Returns pictures, RGB from 0 to 1, of labels and predictions."""
    if kind == "classes":
        colors = pyplot().get_cmap("tab20")
        is_missing = truth[..., 0] == _MISSING_CLASS
        painted = [
            colors(classes.astype(int) % _MAX_CLASSES)[..., :3]
            for classes in (truth[..., 0], np.argmax(prediction, axis=-1))
        ]
    elif kind == "normals":
        is_missing = np.isnan(truth).any(axis=-1)
        painted = [_directions(values) for values in (truth, prediction)]
    else:
        is_missing = np.isnan(truth[..., 0])
        colors = pyplot().get_cmap("viridis")
        # Without a label there is no scale: any will do.
        known = truth[..., 0][~is_missing] if not is_missing.all() else [0, 1]
        low, high = float(np.min(known)), float(np.max(known))
        painted = [
            colors((values[..., 0] - low) / (high - low or 1.0))[..., :3]
            for values in (truth, prediction)
        ]
    painted[0][is_missing] = _MISSING_COLOR
    return list(painted[0]), list(painted[1])


def _directions(vectors: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units = vectors / np.maximum(lengths, 1e-12)
    colors: NDArray[Any] = (np.nan_to_num(units) + 1) / 2
    return colors
