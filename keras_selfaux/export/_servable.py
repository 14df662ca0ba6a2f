"""`write_servable`: a model as a server takes it."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._types import Task
from keras_selfaux.export._difference import rounding_tolerance
from keras_selfaux.export._full_precision import lowest_precision
from keras_selfaux.export._inputs import Batch, as_batch, input_specs
from keras_selfaux.export._manifest import (
    check_metadata,
    manifest,
    write_manifest,
)
from keras_selfaux.export._plain import plain_model
from keras_selfaux.export._saved_model import DEFAULT_SIGNATURE, read_meta_graph
from keras_selfaux.export._signature import Endpoint, Signature, plain_endpoint
from keras_selfaux.export._signatures import as_signatures, check_names
from keras_selfaux.export._trial import (
    Trial,
    answers_of,
    check_alike,
    difference_from_model,
)
from keras_selfaux.export._versions import (
    check_base_path,
    check_version,
    new_version,
)
from keras_selfaux.export._warmup import Request, serving_protos, write_warmup


def write_servable(
    model: keras.Model,
    base_path: str | os.PathLike[str],
    version: int | None = None,
    examples: Any = None,
    signatures: Iterable[str | Signature] | None = None,
    tasks: Iterable[Task] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Writes a model as the next version of what a server serves.

    The result is the plain model of the primaries in TensorFlow's SavedModel
    format, without clones and without anything of this package, in the layout
    that TensorFlow Serving watches: `base_path/<version>/`. A version appears
    at once, complete, and none is ever overwritten.

    It can be called by these signatures, all with any batch size:

    - `serving_default`, also named `serve`: all tasks, each an output;
    - one per task, by its name: this task alone;
    - those of `signatures`.

    A single input is called `inputs`, unless its `keras.Input` has a name;
    several are called by their keys or names. Beside the model, in
    `assets.extra`, are warm-up requests, and `selfaux.json` with tasks,
    graph, input and output specs, versions, and the last epoch's metrics.

    Args:
        model: A `SelfAuxModel` that is built, or a functional Keras model
            that gives `{task: prediction}`.
        base_path: A local folder, whose versions are numbered folders. Its
            name becomes the model's name in warm-up requests.
        version: The number, at least 1. Defaults to `None`: one more than
            the highest there is.
        examples: Some inputs, arrays with one row each or a
            `tf.data.Dataset` of batches without labels, of which the first is
            taken. A server runs them before it answers anybody: the first by
            every signature, and all by `serving_default` and those of
            `signatures`. They are tried, and compared with the model, before
            the version appears. Defaults to `None`: no warm-up requests.
        signatures: Further ways to call it: `"image_bytes"`, `"tf_examples"`,
            or instances such as `export.ImageBytes(size=(96, 128))`.
        tasks: The tasks to export; of the others there will be nothing left.
            Defaults to `None`: all.
        metadata: What else to keep in `selfaux.json`, such as a seed or test
            scores. JSON must be able to hold it.

    Returns:
        The path of the version.

    Raises:
        ValueError: If an argument does not fit, or the `examples` are not
            answered as the model answers them.
        FileExistsError: If the version exists.
        ImportError: If there are `examples`, and tensorflow-serving-api is
            not installed.

    Example:

    >>> path = export.write_servable(model, "served/rooms", examples=x[:8])
    >>> export.verify_servable(path, model)
    """
    folder = check_base_path(base_path)
    check_version(folder, version)
    check_metadata(metadata)
    plain = plain_model(model, tasks)
    further = as_signatures(signatures)
    check_names(list(plain.output), further)
    specs = input_specs(plain)
    _check_batch_size(plain)
    trials = []
    if examples is not None:
        serving_protos()  # raises before any work is done
        batch = as_batch(examples, specs)
        trials = _warmup_requests(batch, specs, list(plain.output), further)
    endpoints = _endpoints(plain, specs, further)
    name = pathlib.Path(os.path.abspath(folder)).name
    with new_version(folder, version) as new:
        _save(plain, endpoints, new.folder)
        if trials:
            requests = [trial.request for trial in trials]
            write_warmup(new.folder, name, requests)
            difference = difference_from_model(
                model, specs, trials, answers_of(new.folder, requests)
            )
            tolerance = rounding_tolerance(lowest_precision(plain))
            check_alike(new.folder, "the model", difference, tolerance)
        meta_graph = read_meta_graph(new.folder)
        content = manifest(model, plain, name, meta_graph, metadata)
        write_manifest(new.folder, content)
    return new.path


def _check_batch_size(plain: keras.Model) -> None:
    """Raises if a model takes batches of one size only."""
    sizes = {tensor.shape[0] for tensor in keras.tree.flatten(plain.input)}
    if sizes != {None}:
        raise error(
            "A servable takes batches of any size.",
            received=f"a model for batches of {sizes}",
            remedy="Make its inputs by `keras.Input(shape)`, without a size "
            "of batches.",
        )


def _endpoints(
    plain: keras.Model, specs: Any, further: list[Signature]
) -> dict[str, Endpoint]:
    """Returns all ways to call a model, the one for everything first."""
    endpoints = {"serve": plain_endpoint(plain, specs)}
    for task, output in plain.output.items():
        alone = keras.Model(plain.input, {task: output})
        endpoints[task] = plain_endpoint(alone, specs)
    for signature in further:
        endpoints[signature.name] = signature.endpoint(plain, specs)
    return endpoints


def _save(
    plain: keras.Model, endpoints: Mapping[str, Endpoint], folder: pathlib.Path
) -> None:
    """Writes the SavedModel."""
    archive = keras.export.ExportArchive()
    # Look-up tables are found through what is tracked, and variables through
    # what is called. Were the model tracked itself, those that only training
    # needs, such as states of random generators, would be kept as well.
    holder = tf.Module()
    holder.model = plain
    archive.track(holder)
    for name, (function, arguments) in endpoints.items():
        archive.add_endpoint(name, function, arguments)
    archive.write_out(folder, verbose=False)


def _warmup_requests(
    batch: Batch, specs: Any, tasks: list[Task], further: list[Signature]
) -> list[Trial]:
    """Returns a request of one row per signature, and some of all rows."""
    first = {name: array[:1] for name, array in batch.items()}
    trials = []
    for part in (first, batch):
        trials.append(Trial(Request(DEFAULT_SIGNATURE, part), part))
        for signature in further:
            sent, given = signature.request(part, specs)
            trials.append(Trial(Request(signature.name, sent), given))
    return trials + [Trial(Request(task, first), first) for task in tasks]
