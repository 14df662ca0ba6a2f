"""A servable that several tests read."""

import pathlib
from typing import Any

import numpy as np
import pytest

from keras_selfaux import export
from tests.export.models import TASKS, dense_model, vectors


@pytest.fixture(scope="session")
def written(tmp_path_factory: Any) -> tuple[Any, pathlib.Path]:
    """A trained model and its servable."""
    model = dense_model()
    model.compile("adam", loss="mse", weighting="auto_lambda")
    x = vectors(16)
    y = {task: np.zeros((16, i + 2)) for i, task in enumerate(TASKS)}
    model.fit(x, y, meta_data=(x, y), epochs=2, verbose=0)
    path = export.write_servable(
        model,
        tmp_path_factory.mktemp("served") / "vectors",
        examples=x[:5],
        signatures=["tf_examples"],
        metadata={"seed": 3},
    )
    return model, path
