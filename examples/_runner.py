"""What the runners share: flags, seeds, progress, files and `main`.

A runner is a frozen dataclass of settings that extends `Settings`, and a
function `run(config)`; `main` makes a flag of every setting.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import platform
import shutil
import signal
import sys
import time
import types
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, TypeVar

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_selfaux
from keras_selfaux import distribution
from keras_selfaux._checks import UsageError, check_positive, error, is_iterable
from keras_selfaux._files import read_json, write_json, written_at_once

fcntl: types.ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_LINES_WITHOUT_TERMINAL = 10
_SECONDS_BETWEEN_REFRESHES = 0.2


def setting(
    default: Any, help: str, choices: Collection[str] | None = None
) -> Any:
    """Returns a dataclass field that `main` turns into a flag."""
    metadata = {"help": help, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that all runners have.

    Raises:
        ValueError: If a value is not among its choices, or if there is no
            seed, or one is negative or given twice.
    """

    DEMO: ClassVar[dict[str, Any]] = {}
    """What `--demo` sets, unless the command line says otherwise."""

    seeds: tuple[int, ...] = setting(
        (0, 1, 2), "Seeds, separated by commas; every method runs once each."
    )
    output_dir: str = setting(
        "results", "Folder for results.json and the pictures."
    )
    overwrite: bool = setting(
        False, "Whether to replace the results of an earlier run."
    )
    resume: bool = setting(
        True,
        "Whether to go on where an interrupted run with the same settings was; "
        "else its folder is refused.",
    )
    seconds_between_checkpoints: float = setting(
        30.0, "The least time between two checkpoints of a run, in seconds."
    )
    strategy: str = setting(
        "none",
        "How to distribute training: on one device, on several of this "
        "machine, or on several machines, as TF_CONFIG says.",
        ("none", "mirrored", "multiworker"),
    )
    devices: tuple[str, ...] = setting(
        (),
        "The devices of this machine to train on, by name (GPU:0,GPU:1) or "
        "by number; all GPUs if not given.",
    )
    deterministic: bool = setting(
        False,
        "Whether equal runs give equal numbers to the last bit, also on a GPU; "
        "takes longer there.",
    )
    plots: bool = setting(
        True, "Whether to draw pictures, for which Matplotlib is needed."
    )
    demo: bool = setting(
        False,
        "A shortened run that shows the way. It may replace the results of "
        "an earlier demo.",
    )
    verbose: bool = setting(True, "Whether to show how training proceeds.")

    def __post_init__(self) -> None:
        """Checks the values."""
        for field in dataclasses.fields(self):
            choices = field.metadata.get("choices")
            value = getattr(self, field.name)
            if choices and value not in choices:
                raise error(
                    f"`{field.name}` must be one of {list(choices)}.",
                    received=f"{field.name}={value!r}",
                    remedy="Pass one of these.",
                )
        check_positive(
            "seconds_between_checkpoints",
            self.seconds_between_checkpoints,
            zero=True,
        )
        seeds = list(self.seeds) if is_iterable(self.seeds) else []
        is_valid = all(type(s) is int and 0 <= s < 2**32 for s in seeds)
        if not is_valid or not seeds or len({*seeds}) < len(seeds):
            raise error(
                "`seeds` must be integers from 0 on, at least one, each once.",
                received=f"seeds={self.seeds!r}",
                remedy="Pass seeds such as 0,1,2.",
            )

    def make_strategy(self) -> tf.distribute.Strategy:
        """Returns what training is distributed by, the same every time."""
        return _strategy(self.strategy, self.devices)


@functools.cache  # TensorFlow mixes up two strategies of one process
def _strategy(name: str, devices: tuple[str, ...]) -> tf.distribute.Strategy:
    given: Any = devices or None
    if len(devices) == 1 and devices[0].isdecimal():
        given = int(devices[0])
    return distribution.make_strategy(name, given)


Config = TypeVar("Config")


class DivergedError(RuntimeError):
    """A model whose losses are no numbers any more."""


_MENDABLE = (
    OSError,
    ImportError,
    UsageError,
    DivergedError,
    distribution.LostWorkerError,
)


def main(
    config_class: type[Config],
    run: Callable[[Config], Any],
    *,
    expected: tuple[type[Exception], ...] = (),
    verbosity: int = logging.ERROR,
) -> None:
    """Calls `run` with the settings that the command line gives.

    Args:
        config_class: A dataclass whose fields are made by `setting`, such as
            a subclass of `Settings`.
        run: Takes one of its instances.
        expected: What else ends the program with one line instead of a
            traceback, beside what a user can mend.
        verbosity: Which log messages are shown, unless `--verbosity` says
            otherwise. Defaults to errors, since absl would show every note of
            TensorFlow's.
    """
    define_flags(config_class, flags.FLAGS)

    def run_from_flags(arguments: list[str]) -> None:
        if len(arguments) > 1:
            raise app.UsageError(f"Unexpected arguments: {arguments[1:]}.")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(verbosity)
        try:
            config = config_from_flags(config_class, flags.FLAGS)
        except ValueError as problem:
            sys.exit(f"error: {problem}")
        # What a user can mend needs no traceback.
        try:
            with ending_on_signals():
                if isinstance(config, Settings):
                    prepare(config)
                run(config)
        except (*_MENDABLE, *expected) as problem:
            sys.exit(f"error: {problem}")

    app.run(run_from_flags)


def prepare(config: Settings) -> None:
    """Does what has to be done before TensorFlow does anything else."""
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    config.make_strategy()


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Ends the program in order on SIGINT and SIGTERM, with 130 and 143.

    While a model trains, a callback takes the signals instead and lets the
    current step end. All files are written at once, so that elsewhere the
    program may end at any time.
    """

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, end) for kind in kinds}
    try:
        yield
    except SystemExit as ending:
        if ending.code in (128 + kind for kind in kinds):
            print(
                "\nInterrupted. The same command, without --overwrite, goes on "
                "where this was.",
                file=sys.stderr,
            )
        raise
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def define_flags(config_class: type[Any], values: flags.FlagValues) -> None:
    """Defines a flag for every setting, of the type of its default."""
    # So that `--help` counts the flags among those of the runner itself.
    flags.disclaim_key_flags()
    for field in dataclasses.fields(config_class):
        name, default = field.name, field.default
        text, choices = field.metadata["help"], field.metadata["choices"]
        if isinstance(default, bool):
            flags.DEFINE_bool(name, default, text, flag_values=values)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text, flag_values=values)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text, flag_values=values)
        elif isinstance(default, tuple):
            flags.DEFINE_list(
                name, [str(item) for item in default], text, flag_values=values
            )
        elif choices:
            flags.DEFINE_enum(name, default, choices, text, flag_values=values)
        else:
            flags.DEFINE_string(name, default, text, flag_values=values)


def config_from_flags(
    config_class: type[Config], values: flags.FlagValues
) -> Config:
    """Returns the settings that the flags give.

    Raises:
        ValueError: If a value does not fit.
    """
    arguments = {}
    is_demo = "demo" in values and values["demo"].value
    for field in dataclasses.fields(config_class):
        flag = values[field.name]
        value = flag.value
        if isinstance(field.default, tuple):
            kind = type(field.default[0]) if field.default else str
            value = _as_tuple(field.name, value, kind)
        if is_demo and not flag.present:
            value = config_class.DEMO.get(field.name, value)
        arguments[field.name] = value
    return config_class(**arguments)


def _as_tuple(name: str, items: list[str], kind: type) -> tuple[Any, ...]:
    try:
        return tuple(kind(item) for item in items)
    except ValueError as problem:
        raise error(
            f"`{name}` must be a list of numbers separated by commas.",
            received=f"{name}={','.join(items)}",
            remedy="Pass a list such as 0,1,2.",
        ) from problem


FREE = frozenset(
    {
        "data_dir",
        "demo",
        "devices",
        "overwrite",
        "plots",
        "resume",
        "seconds_between_checkpoints",
        "strategy",
        "verbose",
    }
)
"""Settings that may differ when an interrupted run goes on."""


def check_output(config: Settings) -> pathlib.Path:
    """Returns the path of `results.json`, unless it must not be written.

    Raises:
        FileExistsError: If it has results that the run may not replace.
    """
    path = pathlib.Path(config.output_dir) / "results.json"
    if not path.exists() or config.overwrite:
        return path
    if config.demo:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if read_json(path)["config"]["demo"]:
                return path
    raise FileExistsError(
        f"'{path}' holds the results of an earlier run. Pass --overwrite to "
        "replace them, or another --output_dir."
    )


def claim_output(
    config: Settings,
    free: Collection[str] = (),
    parts: Collection[str] = (),
    *,
    anew: bool = False,
) -> pathlib.Path:
    """Makes the output folder that of a run which may be interrupted.

    Args:
        config: The settings, which are written into the folder.
        free: Names of further settings that may differ when the run goes on.
        parts: Names of files and folders there that are removed first where
            the run starts anew: what is shown would else be of both.
        anew: Whether it does so even without `overwrite`.

    Returns:
        The folder.

    Raises:
        FileExistsError: If it holds a run with other settings, or an
            interrupted one that is not to go on, or if another process is at
            work there.
        ValueError: If the file of an earlier run's settings is damaged.
    """
    path = pathlib.Path(config.output_dir) / "config.json"
    if not distribution.is_chief():
        return path.parent  # which is the chief's to judge
    _hold(path.parent)
    if config.overwrite or anew:
        forget(path.parent, parts)
    # As JSON has it: a tuple comes back as a list.
    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    found = None
    if path.exists() and not config.overwrite:
        found = _read_settings(path)
        different = [
            name
            for name in settings
            # What a setting was before there was one: its default.
            if name not in {*free, *FREE} and found.get(name) != settings[name]
        ]
        if different:
            raise FileExistsError(
                f"'{path.parent}' holds a run with another "
                f"{', '.join(different)}. Pass --overwrite to replace it, or "
                "another --output_dir."
            )
        if not config.resume:
            raise FileExistsError(
                f"'{path.parent}' holds a run that has begun. Pass --resume to "
                "go on with it, --overwrite to replace it, or another "
                "--output_dir."
            )
    run_id = (found or {}).get("run_id") or uuid.uuid4().hex
    write_json(path, {**settings, "run_id": run_id})
    return path.parent


def forget(folder: pathlib.Path, parts: Collection[str]) -> None:
    """Removes what an earlier run has written.

    What says whose all this is goes last, lest a run that is interrupted
    here leaves parts that nobody knows the settings of.
    """
    for name in (*parts, "results.json", "config.json"):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


_held: dict[pathlib.Path, int] = {}


def _hold(folder: pathlib.Path) -> None:
    """Keeps other processes out of a folder until this one ends.

    Raises:
        FileExistsError: If another one is at work there.
    """
    # KerasTuner's chief and workers share their folder.
    if fcntl is None or "KERASTUNER_ORACLE_IP" in os.environ:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        if folder in _held:
            return
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(descriptor)
        raise FileExistsError(
            f"Another process is at work in '{folder}'. Wait until it has "
            "ended, or pass another --output_dir."
        ) from problem
    except OSError:  # without locks, or not to be written to
        return
    _held[folder] = descriptor


def run_id(config: Settings) -> str:
    """Returns what tells this run from others, also after an interruption."""
    path = pathlib.Path(config.output_dir) / "config.json"
    found: str = _read_settings(path)["run_id"]
    return found


def _read_settings(path: pathlib.Path) -> dict[str, Any]:
    try:
        found = read_json(path)
        if not isinstance(found, dict):
            raise ValueError(f"{type(found).__name__} instead of settings")
    except ValueError as problem:
        raise error(
            f"'{path}' is damaged: it does not say what was run there.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Pass --overwrite to start anew, or another --output_dir.",
        ) from problem
    return found


def check_one_machine(config: Settings) -> None:
    """Raises where several machines are asked for by `strategy`.

    Raises:
        ValueError: If they are.
    """
    if config.strategy == "multiworker":
        raise error(
            "A search is shared by machines in another way.",
            received="strategy=multiworker",
            remedy="See KerasTuner's guide to distributed tuning, "
            "https://keras.io/keras_tuner/guides/distributed_tuning.",
        )


def check_plots(config: Settings) -> None:
    """Makes Matplotlib draw into files, or tells early that it is missing.

    Raises:
        ImportError: If pictures are wanted and Matplotlib is not installed.
    """
    if not config.plots:
        return
    try:
        import matplotlib
    except ImportError as cause:
        raise ImportError(
            "Pictures need Matplotlib, which could not be imported. "
            f"Received: {cause}. Install it with "
            '`pip install "keras_selfaux[plots]"`, or pass --noplots.'
        ) from cause
    matplotlib.use("Agg")


def save_figure(axes: Any, path: pathlib.Path) -> None:
    """Writes the figure of `axes` and closes it."""
    save(axes.figure, path)


def save(figure: Any, file: Any) -> None:
    """Writes a figure to a path or a binary file, and closes it."""
    import matplotlib.pyplot as plt

    options = {"format": "png", "dpi": 150, "bbox_inches": "tight"}
    if isinstance(file, pathlib.Path):
        with written_at_once(file) as path:
            figure.savefig(path, **options)
    else:
        figure.savefig(file, **options)
    plt.close(figure)


def versions() -> dict[str, str]:
    """Returns the versions that results depend on."""
    return {
        "python": platform.python_version(),
        "keras_selfaux": keras_selfaux.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


class Progress(keras.callbacks.Callback):
    """Shows the epochs: on a terminal one line, refreshed; else a line a tenth.

    Keras's own progress bar has an entry per task.

    Args:
        label: What is being trained.
        monitor: Name of the log that is shown. Defaults to `"val_loss"`.
    """

    def __init__(self, label: str, monitor: str = "val_loss") -> None:
        super().__init__()
        self.label = label
        self.monitor = monitor

    def get_state(self) -> dict[str, float]:
        """Returns the best value so far."""
        return {"best": self._best}

    def set_state(self, state: dict[str, float]) -> None:
        """Goes on from the best value of an earlier run."""
        self._best = state["best"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()
        self._shown = 0.0
        self._best = float("inf")
        self._refreshes = sys.stdout.isatty()
        if self._refreshes:
            print(f"{self.label}  compiling ...", end="", flush=True)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Shows the epoch if it is time to."""
        epochs = self.params["epochs"]
        value = (logs or {})[self.monitor]
        self._best = min(self._best, value)
        now = time.perf_counter()
        if self._refreshes:
            is_due = now - self._shown > _SECONDS_BETWEEN_REFRESHES
        else:
            every = -(-epochs // _LINES_WITHOUT_TERMINAL)
            is_due = (epoch + 1) % every == 0
        if not is_due and epoch + 1 < epochs:
            return
        self._shown = now
        line = (
            f"{self.label}  epoch {epoch + 1:{len(str(epochs))}}/{epochs}  "
            f"{self.monitor} {value:.4f}  best {self._best:.4f}  "
            f"{now - self._start:.0f} s"
        )
        if self._refreshes:
            print(f"\r{line:<79}", end="", flush=True)
        else:
            print(line, flush=True)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Ends the line."""
        if self._refreshes:
            print()
