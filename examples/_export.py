"""The export of a trained model, checked as a server would meet it."""

import contextlib
import dataclasses
import importlib.util
import json
import pathlib
from typing import Any

import keras

from keras_selfaux import export

if __package__:
    from examples import _pictures, _runner
    from examples._problem import Data, Problem
else:
    import _pictures
    import _runner
    from _problem import Data, Problem

NUM_EXAMPLES = 8
"""How many inputs a server warms up with."""


def export_and_verify(
    problem: Problem,
    model: keras.Model,
    data: Data,
    result: dict[str, Any],
) -> tuple[pathlib.Path, export.ServableReport]:
    """Exports a model as its next version, and reads that as a server would.

    Where an interrupted run has exported its model already, that is read.

    Args:
        problem: The settings of the run, which has an `export_dir`.
        model: A trained model.
        data: What it was trained on.
        result: What came out; it is kept beside the model.

    Returns:
        The version's path, and what was found there.

    Raises:
        ValueError: If the export answers otherwise than the model.
    """
    # Who does not serve need not install what a server's messages take.
    can_warm_up = importlib.util.find_spec("tensorflow_serving") is not None
    if not can_warm_up:
        print(
            "Without tensorflow-serving-api the export has no warm-up "
            "requests.",
            flush=True,
        )
    run_id = _runner.run_id(problem)
    earlier = version_of(run_id, problem.export_dir)
    if earlier is not None:
        return earlier, export.verify_servable(earlier, model)
    x = next(iter(data.held_out("test")))[0][:NUM_EXAMPLES]
    settings = dataclasses.asdict(problem)
    kept = ("method", "seed", "best_epoch", "val_loss", "scores")
    path = export.write_servable(
        model,
        problem.export_dir,
        examples=x if can_warm_up else None,
        signatures=["image_bytes"] if _pictures.can_show(problem) else None,
        metadata={
            **{key: result[key] for key in kept},
            "settings": settings,
            "run_id": run_id,
        },
    )
    return path, export.verify_servable(path, model)


def version_of(run_id: str, export_dir: str) -> pathlib.Path | None:
    """Returns the version that a run has written, if it has."""
    for path in pathlib.Path(export_dir).glob("*/assets.extra/selfaux.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            manifest = json.loads(path.read_text("utf-8"))
            if manifest["metadata"]["run_id"] == run_id:
                return path.parents[1]
    return None
