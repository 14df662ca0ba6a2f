"""Data sets are prepared with a progress bar on a terminal, else in silence."""

import contextlib
import io
import sys
from collections.abc import Iterator

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils


@contextlib.contextmanager
def quiet_without_terminal() -> Iterator[None]:
    """Keeps progress bars and notices out of log files."""
    if sys.stderr.isatty():
        yield
        return
    was_active = getattr(tqdm_utils, "_active", True)
    tfds.display_progress_bar(False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.display_progress_bar(was_active)
