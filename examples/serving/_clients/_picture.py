"""A picture of images with the answers to each beside it."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples import _runner
from keras_selfaux._checks import check_choice, error
from keras_selfaux.plots._style import pyplot

KINDS = ("classes", "depth", "disparity", "normals", "attribute")
"""What answers may be, as `keras_selfaux.plots.plot_predictions` has them."""

_MAX_CLASSES = 20  # as many colours has the map
# Of depths: a few wrong pixels must not take all colours.
_PERCENTILES = (2, 98)


def parse_kinds(texts: Sequence[str]) -> dict[str, str]:
    """Returns `{task: kind}` of texts such as `"seg:classes"`.

    Raises:
        ValueError: If a text is no such pair, or its kind is unknown.
    """
    kinds = {}
    for text in texts:
        task, _, kind = text.partition(":")
        check_choice(f"kinds[{task!r}]", kind, KINDS)
        kinds[task] = kind
    return kinds


def draw(
    images: Sequence[bytes],
    answers: Mapping[str, NDArray[Any]],
    kinds: Mapping[str, str],
    path: str,
) -> None:
    """Draws a row for each image: itself, and the answer of every task.

    Args:
        images: Encoded, as JPEG or PNG.
        answers: `{task: array}`, of which the first dimension is that of
            images.
        kinds: `{task: kind}`, of the tasks to be shown. Of classes the largest
            logit counts; depths and disparities have a scale of colours of
            their own each; normals of any length are shown as red, green and
            blue; attributes are logits and shown as probabilities.
        path: The file, a PNG.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If a task has no answer, or one of a shape that does not
            fit its kind.
    """
    pictures = [_decoded(data) for data in images]
    columns: dict[str, Sequence[Any]] = {"image": pictures}
    for task, kind in kinds.items():
        if task not in answers:
            raise error(
                "`kinds` must name tasks that the model answers.",
                received=f"task {task!r}, answers {sorted(answers)}",
                remedy="Pass one of these.",
            )
        columns[task] = _painted(task, kind, np.asarray(answers[task]))
    _runner.save(_figure(columns), path)


def _figure(columns: Mapping[str, Sequence[Any]]) -> Any:
    plt = pyplot()
    num_rows = len(columns["image"])
    height, width = columns["image"][0].shape[:2]
    figure, axes = plt.subplots(
        num_rows,
        len(columns),
        figsize=(2 * len(columns), 2 * height / width * num_rows + 0.4),
        layout="constrained",
        squeeze=False,
    )
    for column, (title, cells) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(title, fontsize="small")
        for ax, cell in zip(column, cells, strict=True):
            ax.set_axis_off()
            if isinstance(cell, str):
                ax.text(0.5, 0.5, cell, ha="center", va="center")
            else:
                ax.imshow(cell, cmap="gray", interpolation="nearest")
    return figure


def _painted(task: str, kind: str, answer: NDArray[Any]) -> Sequence[Any]:
    wanted = {"attribute": (2, 1), "normals": (4, 3), "classes": (4, None)}
    rank, channels = wanted.get(kind, (4, 1))
    if answer.ndim != rank or channels not in (None, answer.shape[-1]):
        raise error(
            f"`kinds` says of '{task}' what its answer cannot be.",
            received=f"{kind!r} of shape {answer.shape}",
            remedy=f"Pass another of {KINDS}.",
        )
    if kind == "attribute":
        return [f"{_probability(logit):.2f}" for logit in answer[:, 0]]
    if kind == "classes":
        classes = np.argmax(answer, axis=-1)
        return list(_colors("tab20")(classes % _MAX_CLASSES))
    if kind == "normals":
        lengths = np.linalg.norm(answer, axis=-1, keepdims=True)
        colors = (answer / np.maximum(lengths, 1e-12) + 1) / 2
        return list(np.clip(colors, 0, 1))
    return [_colors("viridis")(_scaled(values)) for values in answer[..., 0]]


def _scaled(values: NDArray[Any]) -> NDArray[Any]:
    low, high = np.percentile(values, _PERCENTILES)
    return np.clip((values - low) / (high - low or 1.0), 0, 1)


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(logit))))


def _decoded(data: bytes) -> NDArray[Any]:
    pyplot()
    from matplotlib import image

    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return image.imread(io.BytesIO(data), format=kind)


def _colors(name: str) -> Any:
    return pyplot().get_cmap(name)
