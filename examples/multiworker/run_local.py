"""Runs a program as several workers on this machine, for trying out.

Starts N processes with TF_CONFIG on free ports of 127.0.0.1, shows what each
of them prints, and ends all when one of them fails.

  python examples/multiworker/run_local.py --workers=2 -- --epochs=5
  python examples/multiworker/run_local.py --program=my_training.py
"""

import contextlib
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

from absl import app, flags

PROGRAM = pathlib.Path(__file__).with_name("train.py")
_GRACE_SECONDS = 60.0

_WORKERS = flags.DEFINE_integer(
    "workers", 2, "Number of processes.", lower_bound=1
)
_PROGRAM = flags.DEFINE_string("program", str(PROGRAM), "What each runs.")
_GRACE = flags.DEFINE_float(
    "grace_seconds",
    _GRACE_SECONDS,
    "How long the others may take to notice that one has failed.",
    lower_bound=0.0,
)


def free_ports(count: int) -> list[int]:
    """Returns ports of 127.0.0.1 that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def tf_config(ports: Sequence[int], index: int) -> str:
    """Returns the TF_CONFIG of one worker."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": cluster, "task": task})


@contextlib.contextmanager
def running(
    command: Sequence[str], count: int
) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts workers; whatever is left of them ends with the context."""
    started: list[subprocess.Popen[str]] = []
    ports = free_ports(count)
    try:
        for index in range(count):
            config = {"TF_CONFIG": tf_config(ports, index)}
            started.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **config},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        yield started
    finally:
        for worker in started:
            worker.kill()  # TensorFlow swallows SIGTERM while it waits
            worker.wait()


def run(command: Sequence[str], count: int, grace_seconds: float) -> int:
    """Runs workers to their end.

    Args:
        command: What each worker runs.
        count: How many there are.
        grace_seconds: How long the others may take once one has failed.

    Returns:
        0, or the exit status of the first worker that failed: 128 and the
        signal's number for one that was killed.
    """
    ended: queue.Queue[int] = queue.Queue()

    def show(index: int, worker: subprocess.Popen[str]) -> None:
        for line in worker.stdout or ():
            print(f"[worker {index}] {line}", end="", flush=True)
        worker.wait()
        ended.put(index)

    status = 0
    with running(command, count) as workers:
        threads = [
            threading.Thread(target=show, args=pair)
            for pair in enumerate(workers)
        ]
        for thread in threads:
            thread.start()
        for _ in workers:
            try:
                index = ended.get(timeout=grace_seconds if status else None)
            except queue.Empty:
                break
            code = workers[index].returncode
            if code and not status:
                status = code if code > 0 else 128 - code
                print(f"Worker {index} failed with status {status}.")
    for thread in threads:
        thread.join()
    return status


def main(arguments: list[str]) -> None:
    """Runs `--program` with what follows `--`."""
    # So that Ctrl-C and a polite end of this program end the workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = [sys.executable, _PROGRAM.value, *arguments[1:]]
    sys.exit(run(command, _WORKERS.value, _GRACE.value))


if __name__ == "__main__":
    app.run(main)
