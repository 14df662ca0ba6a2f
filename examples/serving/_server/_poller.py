"""A thread that does things every so many seconds."""

import threading
import time
from collections.abc import Callable, Mapping

from absl import logging


class Poller:
    """Calls functions in turn, each with its own interval, until stopped.

    Args:
        intervals: `{function: seconds between its calls}`; with zero it is
            not called.
    """

    def __init__(self, intervals: Mapping[Callable[[], None], float]) -> None:
        self._intervals = {f: s for f, s in intervals.items() if s > 0}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller")

    def start(self) -> None:
        """Begins; the first calls come after their intervals."""
        self._thread.start()

    def stop(self) -> None:
        """Returns once the call that is under way has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        due = {f: time.monotonic() + s for f, s in self._intervals.items()}
        while due and not self._stopped.is_set():
            function = min(due, key=due.__getitem__)
            if self._stopped.wait(max(0.0, due[function] - time.monotonic())):
                return
            try:
                function()
            # The next round may find that it has been mended.
            except Exception as problem:
                logging.error("%s", problem)
            due[function] = time.monotonic() + self._intervals[function]
