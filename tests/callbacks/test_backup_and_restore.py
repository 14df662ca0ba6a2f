import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import callbacks
from tests.integration.models import compile_model, make_data, make_model
from tests.replicas import two_replicas

EPOCHS = 3
STEPS = 4


class KilledError(Exception):
    pass


class Killer(keras.callbacks.Callback):
    """Ends a run at some call of one of its hooks."""

    counts_steps = True

    def __init__(self, hook: str, count: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._left = count
        setattr(self, hook, lambda *_, **__: self._act(act))

    def _act(self, act: Callable[[], None]) -> None:
        self._left -= 1
        if self._left == 0:
            act()


def kill() -> None:
    raise KilledError


def train(
    more: Any = (), *, epochs: int = EPOCHS, data: Any = None, **options: Any
) -> Any:
    """Returns a model with moments, statistics, seeds and a history."""
    keras.utils.set_random_seed(3)
    model = make_model(dropout=0.2, batch_norm=True)
    settings = {
        "weighting": "dwa",
        "metrics": ["mae"],
        "run_eagerly": True,
        **options,
    }
    compile_model(model, "adam", **settings)
    x, y = make_data()
    best = keras.callbacks.EarlyStopping(
        patience=9, restore_best_weights=True, start_from_epoch=1
    )
    model.fit(
        *(data or (x, y)),
        batch_size=6,
        epochs=epochs,
        validation_data=(x, y),
        validation_batch_size=12,
        meta_data=(x[:18], {t: v[:18] for t, v in y.items()}),
        callbacks=[best, *more],
        verbose=0,
    )
    return model


def assert_same(one: Any, other: Any) -> None:
    for first, second in (
        (one.variables, other.variables),
        (one.optimizer.variables, other.optimizer.variables),
        (one.weighting.variables, other.weighting.variables),
    ):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
            )
    assert one.history.history == other.history.history
    assert one.history.epoch == other.history.epoch


@pytest.fixture(scope="module")
def undisturbed() -> Any:
    return train()


INTERRUPTIONS = [
    (3, "on_train_batch_end", 6),
    *(
        pytest.param(save_freq, hook, count, marks=pytest.mark.slow)
        for save_freq in (3, "epoch")
        for hook, count in (
            ("on_train_batch_end", 1),
            ("on_train_batch_end", 7),
            ("on_train_batch_end", STEPS * EPOCHS),
            ("on_test_batch_end", 3),
            ("on_epoch_end", 2),
            ("on_epoch_begin", 3),
            ("on_train_end", 1),
        )
    ),
]


@pytest.mark.parametrize(("save_freq", "hook", "count"), INTERRUPTIONS)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    undisturbed: Any, tmp_path: Any, save_freq: Any, hook: str, count: int
) -> None:
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path / "backup", save_freq),
                Killer(hook, count, kill),
            ]
        )
    backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq)
    assert_same(train([backup]), undisturbed)
    assert not (tmp_path / "backup").exists()


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_compiled_steps_of_rules_that_learn(tmp_path: Any, steps: int) -> None:
    options = {
        "weighting": "auto_lambda",
        "aggregator": "grad_drop",
        "run_eagerly": False,
        "steps_per_execution": steps,
    }
    backup = callbacks.BackupAndRestore(tmp_path, 2)
    with pytest.raises(KilledError):
        train([backup, Killer("on_train_batch_end", 3, kill)], **options)
    again = train([callbacks.BackupAndRestore(tmp_path, 2)], **options)
    assert_same(again, train(**options))


@pytest.mark.slow
def test_keras_own_callback_goes_on_with_the_data_that_follow(
    undisturbed: Any, tmp_path: Any
) -> None:
    with pytest.raises(KilledError):
        train(
            [
                keras.callbacks.BackupAndRestore(tmp_path / "backup"),
                Killer("on_train_batch_end", 6, kill),
            ]
        )
    model = train([keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    # All but what other callbacks know, of which Keras keeps nothing.
    history = model.history.history
    for name, values in undisturbed.history.history.items():
        assert history[name] == values[1:]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_batches_without_a_known_number(tmp_path: Any) -> None:
    x, y = make_data()

    def batches() -> Any:
        for start in range(0, 24, 6):
            part = slice(start, start + 6)
            yield x[part], {task: v[part] for task, v in y.items()}

    spec = tf.data.Dataset.from_tensor_slices((x, y)).batch(6).element_spec
    data = tf.data.Dataset.from_generator(batches, output_signature=spec)
    wanted = train(data=(data,))
    for hook, count in (("on_train_batch_end", 7), ("on_test_batch_end", 1)):
        with pytest.raises(KilledError):
            train(
                [
                    callbacks.BackupAndRestore(tmp_path, 1),
                    Killer(hook, count, kill),
                ],
                data=(data,),
            )
        again = train([callbacks.BackupAndRestore(tmp_path, 1)], data=(data,))
        assert_same(again, wanted)


@pytest.mark.slow
def test_two_replicas_go_on(tmp_path: Any) -> None:
    with two_replicas().scope():
        with pytest.raises(KilledError):
            train(
                [
                    callbacks.BackupAndRestore(tmp_path, 1),
                    Killer("on_train_batch_end", 6, kill),
                ],
                run_eagerly=False,
            )
        again = train([callbacks.BackupAndRestore(tmp_path, 1)])
        wanted = train(run_eagerly=False)
    for a, b in zip(again.variables, wanted.variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(a),
            keras.ops.convert_to_numpy(b),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.slow
def test_a_run_that_had_stopped_early_stays_stopped(tmp_path: Any) -> None:
    class Stopper(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    backup = callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(KilledError):
        train([backup, Stopper(), Killer("on_train_end", 1, kill)])
    model = train([callbacks.BackupAndRestore(tmp_path), Stopper()])
    assert model.history.epoch == [0, 1]


@pytest.mark.slow
def test_callbacks_have_their_states_back(tmp_path: Any) -> None:
    def others() -> list[Any]:
        return [
            keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras", save_best_only=True
            ),
        ]

    wanted = others()
    train(wanted)
    interrupted = Killer("on_epoch_begin", 3, kill)
    with pytest.raises(KilledError):
        train(
            [
                *others(),
                callbacks.BackupAndRestore(tmp_path / "backup"),
                interrupted,
            ]
        )
    found = others()
    train([*found, callbacks.BackupAndRestore(tmp_path / "backup")])
    for one, other in zip(found, wanted, strict=True):
        assert one.best == other.best
    assert found[0].wait == wanted[0].wait


@pytest.mark.slow
def test_a_callback_that_is_new_starts_afresh(tmp_path: Any) -> None:
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path),
                Killer("on_epoch_begin", 2, kill),
            ]
        )
    with pytest.warns(UserWarning, match="no state of the callback ReduceLRO"):
        train(
            [
                keras.callbacks.ReduceLROnPlateau("loss"),
                callbacks.BackupAndRestore(tmp_path),
            ]
        )


@pytest.mark.slow
def test_without_replay_the_epoch_begins_anew(tmp_path: Any) -> None:
    seen: list[float] = []
    x = np.arange(24, dtype="float32")[:, None] * np.ones((1, 4), "float32")
    data = tf.data.Dataset.from_tensor_slices((x, make_data()[1])).batch(6)
    noted = data.map(
        lambda x, y: (
            tf.numpy_function(
                lambda v: (seen.append(float(v[0, 0])), v)[1], [x], "float32"
            ),
            y,
        )
    )
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path),
                Killer("on_epoch_begin", 3, kill),
            ],
            data=(data,),
        )
    shapes = noted.map(lambda x, y: (tf.ensure_shape(x, (None, 4)), y))
    backup = callbacks.BackupAndRestore(tmp_path, replay_data=False)
    train([backup], data=(shapes,))
    assert seen == [0.0, 6.0, 12.0, 18.0]


@pytest.mark.parametrize(
    ("kind", "status", "hook"),
    [
        (signal.SIGTERM, 143, "on_test_batch_end"),
        pytest.param(
            signal.SIGINT, 130, "on_train_batch_end", marks=pytest.mark.slow
        ),
    ],
)
def test_signals_end_a_run_after_the_step(
    undisturbed: Any, tmp_path: Any, kind: int, status: int, hook: str
) -> None:
    before = signal.getsignal(kind)
    sender = Killer(hook, 3, lambda: os.kill(os.getpid(), kind))
    backup = callbacks.BackupAndRestore(
        tmp_path, min_seconds=1000, end_on_signals=True
    )
    with pytest.raises(SystemExit) as ending:
        train([sender, backup])
    assert ending.value.code == status
    assert signal.getsignal(kind) is before
    record = json.loads((tmp_path / "checkpoint.json").read_text())
    place = record["content"]["dict"]["position"]
    assert place == ([0, 3] if hook == "on_train_batch_end" else [1, STEPS])
    assert_same(train([callbacks.BackupAndRestore(tmp_path)]), undisturbed)


@pytest.mark.slow
def test_other_threads_leave_signals_alone(tmp_path: Any) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []
    watcher = Killer(
        "on_train_batch_end",
        1,
        lambda: seen.append(signal.getsignal(signal.SIGTERM)),
    )
    backup = callbacks.BackupAndRestore(tmp_path, end_on_signals=True)
    thread = threading.Thread(
        target=train, args=([watcher, backup],), kwargs={"epochs": 1}
    )
    thread.start()
    thread.join()
    assert seen == [before]


FULL_DISK = """
import resource, sys
import tests.conftest
from keras_selfaux import callbacks
from tests.callbacks.test_backup_and_restore import Killer, train

def fill():
    # Files grow to 2 kB and not beyond, as if the disk was full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

train([
    Killer("on_epoch_begin", 2, fill),
    callbacks.BackupAndRestore(sys.argv[1]),
])
"""


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(
    undisturbed: Any, tmp_path: Any
) -> None:
    folder = tmp_path / "backup"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    assert f"could not be written to '{folder}'" in run.stderr.splitlines()[-1]
    record = json.loads((folder / "checkpoint.json").read_text())
    assert record["content"]["dict"]["position"] == [1, 0]
    assert_same(train([callbacks.BackupAndRestore(folder)]), undisturbed)


def test_a_folder_that_cannot_be_made(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    backup = callbacks.BackupAndRestore(tmp_path / "file" / "backup")
    with pytest.raises(OSError, match=r"could not be written to '.*/backup'"):
        train([backup], epochs=1)


def test_damaged_files_are_named(undisturbed: Any, tmp_path: Any) -> None:
    def interrupted(**options: Any) -> None:
        with pytest.raises(KilledError):
            train(
                [
                    callbacks.BackupAndRestore(tmp_path, **options),
                    Killer("on_epoch_begin", 3, kill),
                ]
            )

    interrupted()
    (arrays,) = tmp_path.glob("*.npz")
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged.*is not what was writt"):
        train([callbacks.BackupAndRestore(tmp_path)])
    (tmp_path / "checkpoint.json").unlink()
    interrupted(double_checkpoint=True)
    newest = json.loads((tmp_path / "checkpoint.json").read_text())
    (tmp_path / newest["arrays"]).unlink()
    backup = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)
    with pytest.warns(UserWarning, match="Going on from the one before"):
        assert_same(train([backup]), undisturbed)


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Any) -> None:
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path),
                Killer("on_epoch_begin", 2, kill),
            ]
        )
    model = make_model(auxiliaries="none")
    compile_model(model, "adam")
    with pytest.raises(ValueError, match="is not this model's"):
        model.fit(
            *make_data(),
            callbacks=[callbacks.BackupAndRestore(tmp_path)],
            verbose=0,
        )


@pytest.mark.slow
def test_other_steps_per_execution_within_an_epoch(tmp_path: Any) -> None:
    options = {"run_eagerly": False, "steps_per_execution": 2}
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path, 2),
                Killer("on_train_batch_end", 2, kill),
            ],
            **options,
        )
    with pytest.raises(ValueError, match="Compile with steps_per_execution=2"):
        train(
            [callbacks.BackupAndRestore(tmp_path, 2)],
            **{**options, "steps_per_execution": 1},
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"save_freq": 0}, "`save_freq` must be an integer of at least 1"),
        ({"save_freq": "never"}, "`save_freq` must be an integer"),
        ({"min_seconds": -1}, "`min_seconds` must be zero or a positive"),
    ],
)
def test_bad_arguments(
    tmp_path: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        callbacks.BackupAndRestore(tmp_path, **arguments)


def test_two_of_them_are_refused(tmp_path: Any) -> None:
    backups = [callbacks.BackupAndRestore(tmp_path) for _ in range(2)]
    with pytest.raises(ValueError, match="at most one BackupAndRestore"):
        train(backups)


def test_other_models_are_refused(tmp_path: Any) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", loss="mse")
    with pytest.raises(ValueError, match="needs the `fit` of a SelfAuxModel"):
        model.fit(
            np.ones((4, 4)),
            np.ones((4, 2)),
            callbacks=[callbacks.BackupAndRestore(tmp_path)],
            verbose=0,
        )


def test_saving_a_model_does_not_build_what_exports_need(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()

    def fail(*_: Any) -> None:
        pytest.fail("inference_model was built")

    monkeypatch.setattr("keras_selfaux.model.inference_model", fail)
    model.save_weights(tmp_path / "m.weights.h5")
    model.save(tmp_path / "m.keras")


def test_a_schedule_by_epochs_is_not_applied_twice(tmp_path: Any) -> None:
    def schedule() -> Any:
        return keras.callbacks.LearningRateScheduler(lambda _, rate: rate / 2)

    wanted = train([schedule()])
    with pytest.raises(KilledError):
        train(
            [
                schedule(),
                callbacks.BackupAndRestore(tmp_path, 2),
                Killer("on_train_batch_end", 7, kill),
            ]
        )
    assert_same(
        train([schedule(), callbacks.BackupAndRestore(tmp_path, 2)]), wanted
    )


def test_data_that_end_too_early_are_told(tmp_path: Any) -> None:
    with pytest.raises(KilledError):
        train(
            [
                callbacks.BackupAndRestore(tmp_path, 1),
                Killer("on_train_batch_end", 5, kill),
            ]
        )
    x, y = make_data(6)
    with pytest.raises(ValueError, match="The data end before the interrupted"):
        train([callbacks.BackupAndRestore(tmp_path, 1)], data=(x, y))
    assert (tmp_path / "checkpoint.json").exists()


@pytest.mark.slow
def test_a_fit_that_failed_leaves_nothing_behind(tmp_path: Any) -> None:
    for replays in (True, False):
        with pytest.raises(KilledError):
            train(
                [
                    callbacks.BackupAndRestore(tmp_path),
                    Killer("on_epoch_begin", 2, kill),
                ]
            )
        x, y = make_data()
        model = train(epochs=1)
        again = callbacks.BackupAndRestore(tmp_path, replay_data=replays)

        class Failing(keras.utils.PyDataset):
            def __len__(self) -> int:
                return STEPS

            def __getitem__(self, index: int) -> Any:
                raise KilledError

        with pytest.raises(KilledError):
            model.fit(
                Failing(),
                epochs=3,
                meta_data=(x, y),
                callbacks=[again],
                verbose=0,
            )
        history = model.fit(
            x, y, epochs=2, validation_data=(x, y), verbose=0
        ).history
        assert len(history["val_loss"]) == 2


def test_states_that_cannot_be_read_back_are_refused(tmp_path: Any) -> None:
    class Odd(keras.callbacks.Callback):
        def get_state(self) -> Any:
            return {"seen": {1, 2}}

        def set_state(self, state: Any) -> None:
            raise AssertionError

    with pytest.raises(ValueError, match="The state of a callback must be of"):
        train([Odd(), callbacks.BackupAndRestore(tmp_path)], epochs=1)


@pytest.mark.slow
def test_affinities_go_on(tmp_path: Any) -> None:
    def watcher() -> Any:
        x, y = make_data()
        return callbacks.LookaheadAffinity(
            (x, y), every_n_steps=2, batch_size=6
        )

    wanted, again = watcher(), watcher()
    train([wanted])
    with pytest.raises(KilledError):
        train(
            [
                watcher(),
                callbacks.BackupAndRestore(tmp_path, 1),
                Killer("on_train_batch_end", 8, kill),
            ]
        )
    train([again, callbacks.BackupAndRestore(tmp_path, 1)])
    assert again.num_measurements == wanted.num_measurements
    np.testing.assert_array_equal(again.affinity, wanted.affinity)
    np.testing.assert_array_equal(again.cosine, wanted.cosine)
