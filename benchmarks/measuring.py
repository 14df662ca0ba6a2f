"""How the benchmarks measure: in turn, on few threads, in fresh processes.

Needs neither TensorFlow nor PyTorch to be imported.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Timed(NamedTuple):
    """Seconds that something took.

    Attributes:
        first: The first run, which traces and compiles, by the wall clock.
        wall: Later runs by the wall clock.
        processor: Later runs by the processor time of all threads.
    """

    first: float
    wall: list[float]
    processor: list[float]


def take_turns(
    runs: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, Timed]:
    """Times what is to be compared in turn, so that noise falls on all alike.

    Args:
        runs: What to call.
        rounds: How often each is called after its first call.
    """
    timed = {}
    for name, run in runs.items():
        start = time.perf_counter()
        run()
        timed[name] = Timed(time.perf_counter() - start, [], [])
    for _ in range(rounds):
        for name, run in runs.items():
            starts = {key: clock() for key, clock in CLOCKS.items()}
            run()
            for key, clock in CLOCKS.items():
                getattr(timed[name], key).append(clock() - starts[key])
    return timed


def start_keras(threads: int = 1) -> None:
    """Makes what follows repeatable; limits TensorFlow's threads.

    Args:
        threads: The limit; 0 leaves it to TensorFlow.
    """
    # Not above: a process that only starts others does without them.
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(0)


def in_own_process(*arguments: str) -> Any:
    """Runs this script again and returns its last line, read as JSON.

    Args:
        *arguments: Flags to add to those of this process.

    Raises:
        subprocess.CalledProcessError: If it fails; it has said why on the
            standard error stream.
    """
    done = subprocess.run(
        [sys.executable, *sys.argv, *arguments],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory() -> int:
    """Returns the largest size of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
