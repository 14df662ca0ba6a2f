"""Gloria as a TensorFlow Dataset, from a file fetched by hand."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from keras_selfaux._types import Task
from keras_selfaux.datasets._builder import LocalBuilder
from keras_selfaux.datasets._manual import find_by_hand
from keras_selfaux.datasets.gloria._table import NUM_BANDS, Rows, read_rows

_FILE = "gloria.csv"


class Gloria(LocalBuilder):
    """Chlorophyll from the reflectance of water, one task per region.

    Examples hold the standardised `reflectance` in 16 bands, the standardised
    `label` and the name of the region (`task`). They come in the order of the
    file, in which the regions alternate. Once the data has been prepared,
    `info.metadata` has:

    - `tasks`: the names of the regions, sorted;
    - `reflectance_mean`, `reflectance_std`: one number per band;
    - `label_mean`, `label_std`: one number each.

    These are of the training split of all regions together, a standard
    deviation of 0 being replaced by 1. `label * label_std + label_mean` is in
    the unit of the file.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get GLORIA, the data set of "GLORIA - A globally representative
    hyperspectral in situ dataset for optical sensing of water quality" (Lehmann
    et al., 2023), from https://doi.org/10.1594/PANGAEA.948492. Make a table
    `gloria.csv` of it, with the columns `label` (chlorophyll), `task` (the
    region's name) and `0` to `15` (reflectance in 16 bands) and one row per
    sample, and put it into a folder `gloria` in the folder for data fetched by
    hand.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "reflectance": tfds.features.Tensor(
                        shape=(NUM_BANDS,), dtype=np.float32
                    ),
                    "label": tfds.features.Scalar(dtype=np.float32),
                    "task": tfds.features.Text(),
                }
            ),
            supervised_keys=("reflectance", "label"),
            homepage="https://doi.org/10.1594/PANGAEA.948492",
            # The order of the file is kept.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        instructions = self.MANUAL_DOWNLOAD_INSTRUCTIONS
        folder = find_by_hand(dl_manager, self.name, _FILE, instructions)
        rows = read_rows(folder / _FILE)
        num_rows = len(next(iter(rows.values())).labels)
        num_train, end = num_rows * 3 // 5, num_rows * 4 // 5
        mean, std = _statistics(rows, num_train)
        self.info.metadata.update(
            tasks=list(rows),
            reflectance_mean=mean.reflectance.tolist(),
            reflectance_std=std.reflectance.tolist(),
            label_mean=mean.labels.tolist(),
            label_std=std.labels.tolist(),
        )
        standard = {
            task: Rows(
                (own.reflectance - mean.reflectance) / std.reflectance,
                (own.labels - mean.labels) / std.labels,
            )
            for task, own in rows.items()
        }
        places = {
            "train": range(num_train),
            "validation": range(num_train, end),
            "test": range(end, num_rows),
        }
        return {
            split: self._generate_examples(standard, of_task)
            for split, of_task in places.items()
        }

    def _generate_examples(
        self, rows: dict[Task, Rows], places: range
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields every task's rows of these places."""
        for place in places:
            for index, (task, own) in enumerate(rows.items()):
                yield (
                    place * len(rows) + index,
                    {
                        "reflectance": own.reflectance[place].astype(
                            np.float32
                        ),
                        "label": np.float32(own.labels[place]),
                        "task": task,
                    },
                )


def _statistics(rows: dict[Task, Rows], num_train: int) -> tuple[Rows, Rows]:
    """Returns mean and standard deviation of the training rows."""

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        # Compared with the first row: rounding leaves a constant a deviation
        # of its own.
        constant = (values == values[0]).all(axis=0)
        return np.where(constant, 1.0, values.std(axis=0))

    train = Rows(
        np.concatenate([own.reflectance[:num_train] for own in rows.values()]),
        np.concatenate([own.labels[:num_train] for own in rows.values()]),
    )
    means = (values.mean(axis=0) for values in train)
    return Rows(*means), Rows(*map(spread, train))
