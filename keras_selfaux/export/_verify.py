"""`verify_servable`: whether an export is what it should be."""

import os
import pathlib
from typing import Any

import keras

from keras_selfaux._checks import check_positive, error
from keras_selfaux.export._c_api import run_in_c_api
from keras_selfaux.export._content import Content, content
from keras_selfaux.export._difference import (
    largest_difference,
    rounding_tolerance,
)
from keras_selfaux.export._manifest import read_manifest
from keras_selfaux.export._model_match import check_model_fits
from keras_selfaux.export._saved_model import (
    DEFAULT_SIGNATURE,
    read_meta_graph,
    signature_specs,
    signatures_alike,
)
from keras_selfaux.export._servable_report import ServableReport
from keras_selfaux.export._trial import (
    Trial,
    answers_of,
    check_alike,
    difference_from_model,
)
from keras_selfaux.export._warmup import (
    Request,
    made_up_requests,
    read_warmup,
)

Specs = dict[str, Any]


def verify_servable(
    path: str | os.PathLike[str],
    model: keras.Model | None = None,
    *,
    tolerance: float | None = None,
) -> ServableReport:
    """Checks a servable as a server would meet it.

    It is read without Keras and without this package: by TensorFlow's Python
    loader, and by its C API in a process of its own, as servers in C++ do.
    Both run the warm-up requests, and made-up inputs if none of these are the
    model's own inputs. Every variable must be one that an answer of some
    signature is computed from, so that a head which only helped to train would
    show.

    Args:
        path: The folder, `base_path/<version>`.
        model: The model that was exported, if there still is one: its answers
            are compared, its parameters counted, and its matrix products and
            convolutions. Defaults to `None`.
        tolerance: The largest difference that is put up with, as a share of
            the largest answer if that is above 1. Defaults to `None`: 1e-5,
            or 0.01 where something is computed in float16 and 0.08 in
            bfloat16.

    Returns:
        What was found.

    Raises:
        ValueError: If it cannot be loaded or run, signatures are not those
            that it was written with, variables in it are there for no answer,
            it is not of the model, or answers differ.
        FileNotFoundError: If TensorFlow's package has no C API, as on Windows.
        ImportError: If there are warm-up requests, and
            tensorflow-serving-api is not installed.

    Example:

    >>> print(export.verify_servable("served/rooms/1"))
    """
    if tolerance is not None:
        check_positive("tolerance", tolerance, zero=True, infinite=True)
    folder = pathlib.Path(path)
    specs, found = _read(folder)
    _check_signatures(folder, specs)
    _check_content(folder, found)
    if tolerance is None:
        tolerance = rounding_tolerance(found.precision)
    recorded = read_warmup(folder)
    _check_requests(folder, recorded, specs)
    requests = [*recorded]
    own = signatures_alike(specs, DEFAULT_SIGNATURE)
    if not any(request.signature in own for request in recorded):
        requests += made_up_requests({name: specs[name] for name in own})
    elif model is not None:
        # What was recorded may be such that every model answers it alike.
        default = {DEFAULT_SIGNATURE: specs[DEFAULT_SIGNATURE]}
        requests += made_up_requests(default)
    # In a process of its own first: TensorFlow may abort on a damaged file.
    try:
        of_c_api = run_in_c_api(folder, requests)
    except RuntimeError as problem:
        raise error(
            f"The servable '{folder}' cannot be loaded or run.",
            received=f"{problem}",
            remedy="Export the model again; a server would refuse this one.",
        ) from problem
    answers = answers_of(folder, requests)
    loaders = largest_difference(of_c_api, answers)
    check_alike(folder, "TensorFlow's C API", loaders, tolerance)
    difference = None
    if model is not None:
        inputs = check_model_fits(folder, model, specs, found)
        asked = [
            (Trial(request, dict(request.inputs)), answer)
            for request, answer in zip(requests, answers, strict=True)
            if request.signature in own
        ]
        difference = difference_from_model(
            model, inputs, *zip(*asked, strict=True)
        )
        check_alike(folder, "the model", difference, tolerance)
    return ServableReport(
        path=os.fspath(path),
        signatures=specs,
        parameters=found.parameters,
        operations=found.operations.total(),
        warmup_requests=len(recorded),
        loaders=loaders,
        model=difference,
    )


def _read(folder: pathlib.Path) -> tuple[Specs, Content]:
    """Returns what can be called, and what is computed.

    Raises:
        ValueError: If there is no SavedModel, or it is damaged.
    """
    meta_graph = read_meta_graph(folder)
    try:
        return signature_specs(meta_graph), content(meta_graph)
    except Exception as problem:  # whatever a damaged graph leads to
        raise error(
            f"The graph of the servable '{folder}' is damaged.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Export the model again.",
        ) from problem


def _check_signatures(folder: pathlib.Path, specs: Specs) -> None:
    """Raises unless signatures are there, and as they were written."""
    if DEFAULT_SIGNATURE not in specs:
        raise error(
            f"The servable '{folder}' must have a signature "
            f"{DEFAULT_SIGNATURE!r}, which is what most clients call.",
            received=f"signatures {list(specs)}",
            remedy="Write it with `write_servable`.",
        )
    manifest = read_manifest(folder)
    if manifest is None:  # written by something else
        return
    wanted = manifest["signatures"]
    different = {
        name
        for name in {*wanted, *specs}
        if wanted.get(name) != specs.get(name)
    }
    if {*manifest["tasks"]} != {*specs[DEFAULT_SIGNATURE]["outputs"]}:
        different.add("tasks")
    if different:
        raise error(
            f"The signatures of the servable '{folder}' are not those that "
            "its selfaux.json tells of.",
            received=f"differences in {sorted(different)}",
            remedy="Export the model again; one of the two is of another.",
        )


def _check_content(folder: pathlib.Path, found: Content) -> None:
    """Raises if there are variables for no answer."""
    if found.idle_variables:
        shown = ", ".join(found.idle_variables[:5])
        raise error(
            f"The servable '{folder}' has variables that no answer needs: "
            "heads that only helped to train, say, or the second copy of every "
            "weight that Keras's own `export` writes.",
            received=f"{len(found.idle_variables)} of them: {shown}",
            remedy="Write it with `write_servable`.",
        )


def _check_requests(
    folder: pathlib.Path, requests: list[Request], specs: Specs
) -> None:
    """Raises unless warm-up requests fit the signatures."""
    for signature, inputs in requests:
        wanted = specs.get(signature, {"inputs": None})["inputs"]
        if wanted is None or {*inputs} != {*wanted}:
            raise error(
                f"The warm-up requests of the servable '{folder}' do not fit "
                "its signatures.",
                received=f"a request to {signature!r} with {list(inputs)}",
                remedy="Export the model again; a server would refuse this "
                "one.",
            )
