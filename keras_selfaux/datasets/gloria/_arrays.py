"""Gloria as NumPy arrays, in the form that `fit` takes."""

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from keras_selfaux._types import Task
from keras_selfaux.datasets._labels import labels_per_task
from keras_selfaux.datasets._manual import SPLITS, Path, download_config
from keras_selfaux.datasets.gloria.gloria_dataset_builder import Gloria

Arrays = tuple[NDArray[np.float32], dict[Task, NDArray[np.float32]]]


def load_gloria(
    data_dir: Path | None = None,
    manual_dir: Path | None = None,
) -> dict[str, Arrays]:
    """Returns the Gloria data as arrays, with labels per task.

    Every region is a task: to tell the chlorophyll in water from its
    reflectance. The data has to be fetched by hand; without it, the error says
    from where. It is read and written in the form of TensorFlow Datasets on the
    first call, and found from then on, without another look at `manual_dir`.

    Args:
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.
        manual_dir: The folder that has either `gloria/gloria.csv` or
            `gloria.csv` in it. Defaults to `None`:
            `<data_dir>/downloads/manual`.

    Returns:
        `{"train": (x, y), "validation": (x, y), "test": (x, y)}`, where `x` is
        a float32 array `[N, 16]` of standardised reflectances and `y` has for
        every task, sorted by name, a float32 array `[N, 1]` of standardised
        labels, NaN (missing) in the rows of other tasks. All tasks have as many
        rows as the one with the fewest: its first ones in the file, of which
        60 % are for training, 20 % for validation and 20 % for testing. The
        tasks alternate. See `Gloria` for the way back to the file's units.

    Raises:
        ValueError: If the file is not there, or is not what it should be.

    Example:

    ```python
    data = load_gloria(manual_dir="~/fetched")
    x, y = data["train"]
    ```
    """
    builder = Gloria(data_dir=data_dir)
    builder.download_and_prepare(download_config=download_config(manual_dir))
    tasks = builder.info.metadata["tasks"]
    arrays = {}
    for split in SPLITS:
        columns = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        labels = columns["label"][:, np.newaxis]
        arrays[split] = (
            columns["reflectance"],
            labels_per_task(labels, columns["task"], tasks),
        )
    return arrays
