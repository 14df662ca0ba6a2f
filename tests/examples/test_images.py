"""The runners on images, on small data in the true format."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from examples import (
    _pictures,
    _training,
    celeb_a,
    cityscapes,
    gloria,
    nyuv2,
    rooms,
)
from examples._image_data import ImageData
from keras_selfaux import datasets
from keras_selfaux.architectures import compact_stages
from keras_selfaux.datasets import Rooms, RoomsConfig, pipeline
from tests.datasets.folders import (
    accept_celeb_a,
    write_celeb_a,
    write_cityscapes,
    write_gloria,
    write_nyuv2,
)

ROOT = pathlib.Path(__file__).parents[2]


def tiny(folder, **changes):
    return {
        "seeds": (0,),
        "epochs": 1,
        "batch_size": 2,
        "method": ("saal_w",),
        "verbose": False,
        "data_dir": str(folder / "data"),
        "output_dir": str(folder / "results"),
        "export_dir": str(folder / "exports"),
        **changes,
    }


def check(config, results):
    """What every runner leaves behind."""
    folder = config.output_dir
    with open(f"{folder}/results.json", encoding="utf-8") as file:
        assert json.load(file) == json.loads(json.dumps(results))
    assert [run["method"] for run in results["runs"]] == list(config.method)
    for run in results["runs"]:
        assert [*run["scores"]] == config.tasks
        for task, directions in config.directions.items():
            assert [*run["scores"][task]] == [*directions]
            assert np.all(np.isfinite([*run["scores"][task].values()]))
    for name in ("predictions.png", "task_weights.png"):
        with open(f"{folder}/{name}", "rb") as file:
            assert tf.io.decode_png(file.read()).shape[0] > 100
    served = tf.saved_model.load(results["export"]["path"])
    images = tf.zeros([3, *config.input_shape[1:]])
    assert {*served.serve(images)} == {*config.tasks}


@pytest.fixture
def small_rooms(tmp_path_factory, monkeypatch):
    def load(size, data_dir):
        settings = RoomsConfig(size, num_train=5, num_validation=2, num_test=3)
        builder = Rooms(config=settings, data_dir=data_dir)
        builder.download_and_prepare()
        return {
            split: builder.as_dataset(split) for split in builder.info.splits
        }

    monkeypatch.setattr(datasets, "load_rooms", load)
    # Few channels, since it is not learning that is tested.
    monkeypatch.setattr(
        rooms, "compact_stages", lambda: compact_stages(4, rates=(1, 2))
    )


@pytest.mark.slow
@pytest.mark.usefixtures("small_rooms")
def test_rooms(tmp_path, capsys):
    config = rooms.Config(**tiny(tmp_path, method=("mtl",), verbose=True))
    results = rooms.run(config)
    check(config, results)
    printed = capsys.readouterr().out
    assert "seg mean_iou ↑" in printed
    assert "normal median_angle ↓" in printed
    assert results["runs"][0]["parameters"] > 1000
    events = [*(tmp_path / "results/tensorboard/mtl_0").glob("events*")]
    found = [
        value.tag
        for path in events
        for record in tf.data.TFRecordDataset(str(path))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    ]
    assert "predictions" in found


@pytest.mark.slow
@pytest.mark.usefixtures("small_rooms")
def test_rooms_by_enumeration_and_with_all_clones(tmp_path):
    methods = ("stl", "saal_e", "saal_w", "saal_ew")
    config = rooms.Config(**tiny(tmp_path, method=methods))
    results = rooms.run(config)
    check(config, results)
    assert (tmp_path / "results/graph.json").exists()
    assert "delta_m" in results["summary"]["saal_w"]
    assert results["export"]["method"] == "saal_w"


def deeplab(folder, manual_dir, **changes):
    small = {"height": 32, "width": 48, "blocks": (1, 1, 1, 1), "filters": 4}
    return tiny(folder, manual_dir=str(manual_dir), **small, **changes)


@pytest.mark.slow
def test_nyuv2(tmp_path):
    manual_dir = write_nyuv2(tmp_path, 5, 2, height=32, width=48)
    config = nyuv2.Config(**deeplab(tmp_path, manual_dir))
    check(config, nyuv2.run(config))


@pytest.mark.slow
def test_cityscapes(tmp_path):
    manual_dir = write_cityscapes(tmp_path, 5, 2, height=32, width=48)
    config = cityscapes.Config(**deeplab(tmp_path, manual_dir))
    check(config, cityscapes.run(config))


@pytest.mark.slow
def test_celeb_a(tmp_path, monkeypatch):
    manual_dir = write_celeb_a(tmp_path, 5, 2, 2)
    accept_celeb_a(monkeypatch, manual_dir)
    config = celeb_a.Config(
        **tiny(
            tmp_path,
            manual_dir=str(manual_dir),
            attributes=("Smiling", "Wearing_Hat"),
            fraction=1.0,
            size=32,
            blocks=(1, 1, 1, 1),
            filters=4,
        )
    )
    check(config, celeb_a.run(config))


def test_gloria(tmp_path):
    manual_dir = write_gloria(tmp_path, rows_per_task=10, num_tasks=3)
    config = gloria.Config(
        **tiny(
            tmp_path,
            manual_dir=str(manual_dir),
            method=("mtl",),
            plots=False,
            jit_compile=False,
        )
    )
    results = gloria.run(config)
    assert len(config.tasks) == 3
    assert [*results["runs"][0]["scores"]] == config.tasks
    # Squares of all samples of a region, pooled.
    x, y = config.load_data().splits["test"]
    served = tf.saved_model.load(results["export"]["path"])
    for task, predicted in served.serve(x).items():
        rmse = np.sqrt(np.nanmean((predicted.numpy() - y[task]) ** 2))
        found = results["runs"][0]["scores"][task]["rmse"]
        assert found == pytest.approx(rmse, rel=1e-4)


@pytest.mark.parametrize("runner", [nyuv2, cityscapes, gloria])
def test_missing_data_say_where_they_belong(runner, tmp_path):
    config = runner.Config(**tiny(tmp_path))
    with pytest.raises(ValueError, match="manual") as raised:
        runner.run(config)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("runner", [nyuv2, cityscapes])
def test_sizes_that_the_network_cannot_restore(runner):
    with pytest.raises(ValueError, match=r"multiples of 8.*height=100"):
        runner.Config(height=100)


def test_another_enumeration_is_not_gone_on_with(tmp_path):
    folder = tmp_path / "enumeration"
    _training.claim_enumeration(rooms.Config(augment=True), folder)
    _training.claim_enumeration(rooms.Config(method=("saal_e",)), folder)
    with pytest.raises(FileExistsError, match="a run with another augment"):
        _training.claim_enumeration(rooms.Config(augment=False), folder)


class TestCelebAConfig:
    def test_all_attributes(self):
        config = celeb_a.Config(attributes=("all",))
        assert len(config.tasks) == 40
        assert len(celeb_a.Config().tasks) == 9

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"attributes": ("Wearing_Cap",)}, "`attributes` must be 'all'"),
            ({"fraction": 0.0}, "`fraction` must be above 0.*fraction=0.0"),
            ({"size": 0}, "`size` positive"),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(ValueError, match=message):
            celeb_a.Config(**changes)


class TestImageData:
    @pytest.fixture
    def data(self):
        def examples(count, first):
            numbers = np.arange(first, first + count, dtype="uint8")
            return tf.data.Dataset.from_tensor_slices(
                {
                    "image": numbers[:, None, None, None].repeat(2, axis=2),
                    "number": numbers,
                }
            )

        splits = {"train": (5, 0), "validation": (3, 100), "test": (4, 200)}
        return ImageData(
            {split: examples(*given) for split, given in splits.items()},
            {"number": "attribute"},
            batch_size=4,
            augmentation=pipeline.Augmentation(scales=(1.0,)),
        )

    def numbers(self, batches):
        return [batch[1]["number"].numpy()[:, 0].tolist() for batch in batches]

    def test_epochs_and_sizes(self, data):
        assert data.steps_per_epoch == 2
        sizes = [len(batch) for batch in self.numbers(data.splits["train"])]
        assert sizes == [4, 1]
        endless = self.numbers(data.endless("train").take(5))
        assert {len(batch) for batch in endless} == {4}
        drawn = [number for batch in endless for number in batch]
        assert sorted(drawn[:5]) == sorted(drawn[5:10]) == [0, 1, 2, 3, 4]

    def test_held_out_data_keep_their_order(self, data):
        for _ in range(2):
            assert self.numbers(data.held_out("test")) == [[200, 201, 202, 203]]
        meta = self.numbers(data.endless("validation").take(4))
        assert {number for batch in meta for number in batch} == {100, 101, 102}

    def test_pictures_are_of_the_first_images(self, data):
        images, labels = _pictures.some(data, "test")
        assert images.shape == (4, 1, 2, 1)
        assert labels["number"].numpy()[:, 0].tolist() == [200, 201, 202, 203]


@pytest.mark.slow
def test_command_line_without_data(tmp_path):
    run = subprocess.run(
        [
            sys.executable,
            str(ROOT / "examples/nyuv2.py"),
            f"--data_dir={tmp_path}",
            f"--output_dir={tmp_path}/results",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "error: The data set `nyuv2` has to be fetched by hand" in run.stderr
