"""What to do when CelebA cannot be downloaded."""

import os
import pathlib
from typing import Any

from keras_selfaux._checks import error
from keras_selfaux.datasets._manual import Path

_HOMEPAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


def not_prepared(
    builder: Any, manual_dir: Path | None, problem: Exception
) -> ValueError:
    """Returns the error that says what is wrong, and how to go on by hand.

    Args:
        builder: TensorFlow Datasets's builder of CelebA.
        manual_dir: The folder of files fetched by hand, or `None` for that of
            TensorFlow Datasets.
        problem: What was raised.
    """
    # TFDS takes a file from the folder, instead of its address, if it has the
    # name and the checksum that are registered for the address.
    if manual_dir is None:
        manual_dir = builder.data_dir_root / "downloads" / "manual"
    folder = pathlib.Path(os.path.expanduser(manual_dir))
    names = sorted(info.filename for info in builder.url_infos.values())
    missing = [name for name in names if not (folder / name).exists()]
    return error(
        "CelebA could not be prepared.",
        received=f"{type(problem).__name__}: {problem}".rstrip("."),
        remedy=f"If a file could not be downloaded or has the wrong checksum, "
        f"fetch it by hand through {_HOMEPAGE} and put it, unchanged and not "
        f"unpacked, into {folder}. All of the files there: {', '.join(names)}. "
        f"Still missing: {', '.join(missing) or 'none'}.",
    )
