import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.datasets import pipeline
from keras_selfaux.datasets._augmentation import augmented

KINDS = {
    "seg": "classes",
    "depth": "depth",
    "disparity": "disparity",
    "normal": "normals",
}
HEIGHT, WIDTH = 6, 8


def examples(count=1, height=HEIGHT, width=WIDTH):
    random = np.random.default_rng(0)
    shape = (count, height, width)
    depth = random.uniform(1, 9, (*shape, 1)).astype("float32")
    depth[:, 2, 3] = 0
    normal = random.normal(size=(*shape, 3)).astype("float32")
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[:, 4, 5] = 0
    return {
        "image": random.integers(0, 256, (*shape, 3)).astype("uint8"),
        "seg": random.integers(0, 5, (*shape, 1)).astype("uint8"),
        "depth": depth,
        "disparity": depth[..., ::-1, :].copy(),
        "normal": normal,
    }


def example(**size):
    return {name: value[0] for name, value in examples(**size).items()}


def dataset(count=1, **size):
    return tf.data.Dataset.from_tensor_slices(examples(count, **size))


def augment(given, seed, **settings):
    settings = pipeline.Augmentation(**settings)
    found = augmented(given, KINDS, settings, tf.constant([0, seed]))
    return {name: value.numpy() for name, value in found.items()}


def expected(given, top, left, size, scale, flipped):
    """Brute force: where each pixel of the result was."""
    height, width = (round(n * scale) for n in given["seg"].shape[:2])
    wanted = {}
    missing = {"seg": 255, "depth": 0, "disparity": 0, "normal": 0}
    factors = {"depth": 1 / scale, "disparity": scale}
    for name, filling in missing.items():
        source = given[name]
        result = np.full((*size, source.shape[-1]), filling, source.dtype)
        for row in range(size[0]):
            for column in range(size[1]):
                y, x = row + top, column + left
                if 0 <= y < height and 0 <= x < width:
                    result[row, column] = source[
                        int((y + 0.5) * source.shape[0] / height),
                        int((x + 0.5) * source.shape[1] / width),
                    ] * source.dtype.type(factors.get(name, 1))
        if flipped:
            result = result[:, ::-1]
            if name == "normal":
                result = result * np.float32([-1, 1, 1])
        wanted[name] = result
    return wanted


def is_equal(found, wanted):
    return all(np.allclose(found[name], wanted[name]) for name in wanted)


class TestAugmentation:
    @pytest.mark.parametrize(
        ("scale", "crop"),
        [(1.0, None), (1.5, None), (2.0, (5, 7)), (0.5, (6, 8)), (1.0, (9, 4))],
    )
    def test_labels_are_what_brute_force_finds(self, scale, crop):
        given = example()
        size = crop or (HEIGHT, WIDTH)
        spare = [
            round(n * scale) - s
            for n, s in zip((HEIGHT, WIDTH), size, strict=True)
        ]
        places = [
            (top, left, flipped)
            for top in range(min(spare[0], 0), max(spare[0], 0) + 1)
            for left in range(min(spare[1], 0), max(spare[1], 0) + 1)
            for flipped in (False, True)
        ]
        candidates = {
            place: expected(given, *place[:2], size, scale, place[2])
            for place in places
        }
        seen = set()
        for seed in range(30):
            found = augment(given, seed, scales=(scale,), crop_size=crop)
            matches = {
                place
                for place, wanted in candidates.items()
                if is_equal(found, wanted)
            }
            assert len(matches) == 1
            seen |= matches
        # Of n places, 30 draws find n (1 - exp(-30 / n)) on average.
        wanted = len(places) * (1 - np.exp(-30 / len(places)))
        assert len(seen) > 0.7 * wanted

    def test_image_moves_with_its_labels(self):
        given = example()
        # An image whose pixels say where they are.
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype("uint8")
        given["image"] = np.stack([y * 10, x * 10, y * 0 + 7], axis=-1)
        given["seg"] = (y * 10 + x)[..., None]
        for seed in range(20):
            found = augment(given, seed, scales=(1.0,), crop_size=(8, 5))
            rows, columns, mark = np.moveaxis(found["image"], -1, 0)
            is_there = found["seg"][..., 0] != 255
            places = rows + columns / 10
            assert np.allclose(places[is_there], found["seg"][is_there][:, 0])
            assert np.all(mark[~is_there] == 127.5)
            assert np.all(found["depth"][~is_there] == 0)
            assert is_there.sum() == 6 * 5

    def test_scales_are_drawn_alike(self):
        given = example()
        ratios = [
            augment(given, seed, scales=(1.0, 1.25, 2.0))["depth"].max()
            for seed in range(90)
        ]
        # The largest depth is in the crop of the unscaled image always.
        share = np.mean(np.isclose(ratios, given["depth"].max()))
        assert 0.2 < share < 0.47

    def test_without_scale_and_flip_nothing_changes(self):
        given = example()
        found = augment(given, 1, scales=(1.0,), flip=False)
        assert all(np.array_equal(found[name], given[name]) for name in given)

    def test_same_seed_gives_the_same(self):
        first, second = (augment(example(), 3) for _ in range(2))
        assert all(np.array_equal(first[name], second[name]) for name in first)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"scales": ()}, r"`scales` must be positive.*scales=\(\)"),
            ({"scales": (1.0, 0.0)}, "`scales` must be positive numbers"),
            ({"crop_size": (3,)}, "`crop_size` must be a height and a width"),
            ({"crop_size": (3, 0)}, "`crop_size` must be an integer of at le"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            pipeline.Augmentation(**arguments)


class TestBatches:
    def test_images_and_labels_have_the_form_that_fit_takes(self):
        given = examples(5)
        found = [*pipeline.batches(dataset(5), KINDS, batch_size=2)]
        assert [len(x) for x, _ in found] == [2, 2, 1]
        images = np.concatenate([x for x, _ in found])
        assert images.dtype == "float32"
        assert np.allclose(images, given["image"] / 127.5 - 1, atol=1e-6)
        labels = {
            task: np.concatenate([y[task] for _, y in found]) for task in KINDS
        }
        assert labels["seg"].dtype == "int32"
        assert np.array_equal(labels["seg"], given["seg"])
        for task in ("depth", "disparity", "normal"):
            is_missing = np.all(given[task] == 0, axis=-1, keepdims=True)
            assert is_missing.sum() == 5
            wanted = np.where(is_missing, np.nan, given[task])
            assert np.array_equal(labels[task], wanted, equal_nan=True)

    def test_other_kinds(self):
        data = tf.data.Dataset.from_tensor_slices(
            {
                "image": np.zeros((4, 3, 3, 1), "uint8"),
                "smiling": np.array([0, 1, 1, 0]),
                "pose": np.float64([[1, 2], [0, np.nan], [3, 4], [5, 6]]),
            }
        )
        kinds = {"smiling": "attribute", "pose": "value"}
        [(_, labels)] = pipeline.batches(data, kinds, batch_size=4)
        assert labels["smiling"].dtype == labels["pose"].dtype == "float32"
        assert labels["smiling"].numpy().tolist() == [[0], [1], [1], [0]]
        assert np.array_equal(
            labels["pose"], [[1, 2], [0, np.nan], [3, 4], [5, 6]], True
        )

    def test_passes_differ_and_processes_agree(self):
        def passes():
            batches = pipeline.batches(
                dataset(5),
                KINDS,
                batch_size=5,
                shuffle=True,
                seed=3,
                augmentation=pipeline.Augmentation(),
            )
            return [next(iter(batches))[0].numpy() for _ in range(2)]

        first, second = passes(), passes()
        assert not np.array_equal(first[0], first[1])
        assert np.array_equal(first, second)

    def test_keras_seed_decides_without_one(self):
        def images(seed):
            keras.utils.set_random_seed(seed)
            batches = pipeline.batches(
                dataset(5),
                KINDS,
                batch_size=5,
                shuffle=True,
                augmentation=pipeline.Augmentation(),
            )
            return next(iter(batches))[0].numpy()

        assert np.array_equal(images(1), images(1))
        assert not np.array_equal(images(1), images(2))

    def test_shuffling_keeps_images_with_their_labels(self):
        data = tf.data.Dataset.from_tensor_slices(
            {
                "image": np.arange(9, dtype="uint8").reshape(9, 1, 1, 1),
                "number": np.arange(9),
            }
        )
        batches = pipeline.batches(
            data, {"number": "attribute"}, batch_size=9, shuffle=True
        )
        [(images, labels)] = batches
        numbers = labels["number"].numpy()[:, 0]
        assert numbers.tolist() != list(range(9))
        assert sorted(numbers) == list(range(9))
        pixels = pipeline.as_pixels(images)
        assert pixels.dtype == "uint8"
        assert np.array_equal(pixels[:, 0, 0, 0], numbers)

    @pytest.mark.parametrize("in_file", [False, True])
    def test_cache_reads_the_source_once(self, in_file, tmp_path):
        reads = []

        def read(number):
            reads.append(int(number))
            return np.full((2, 2, 1), number, "uint8")

        def parse(number):
            image = tf.numpy_function(read, [number], tf.uint8)
            return {"image": tf.ensure_shape(image, (2, 2, 1)), "n": number}

        batches = pipeline.batches(
            tf.data.Dataset.range(4).map(parse),
            {"n": "attribute"},
            batch_size=2,
            cache=tmp_path / "cache" if in_file else True,
        )
        for _ in range(3):
            assert len([*batches]) == 2
        assert reads == [0, 1, 2, 3]
        assert bool([*tmp_path.iterdir()]) is in_file

    def test_repeat_has_no_smaller_batch(self):
        batches = pipeline.batches(
            dataset(5), KINDS, batch_size=2, repeat=True, cache=False
        )
        assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
        assert {len(x) for x, _ in batches.take(6)} == {2}

    def test_drop_remainder(self):
        batches = pipeline.batches(
            dataset(5), KINDS, batch_size=2, drop_remainder=True
        )
        assert [x.shape[0] for x, _ in batches] == [2, 2]

    @pytest.mark.parametrize(
        ("data", "labels", "message"),
        [
            (dataset(), {}, "`labels` must name at least one label"),
            (dataset(), {"seg": "mask"}, r"kind of label 'seg'.*'mask'"),
            (dataset(), {"part": "classes"}, r"must be dicts with.*\['part'\]"),
            (dataset().batch(1), {"seg": "classes"}, "Images must be of one"),
            (
                tf.data.Dataset.range(3),
                {"seg": "classes"},
                "must be dicts with 'image'",
            ),
        ],
    )
    def test_refuses(self, data, labels, message):
        with pytest.raises(ValueError, match=message):
            pipeline.batches(data, labels, batch_size=1)

    def test_augmentation_needs_one_size(self):
        spec = {
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "seg": tf.TensorSpec((None, None, 1), tf.uint8),
        }
        data = tf.data.Dataset.from_generator(
            lambda: iter([]), output_signature=spec
        )
        with pytest.raises(ValueError, match="Images must be of one size"):
            pipeline.batches(
                data,
                {"seg": "classes"},
                batch_size=1,
                augmentation=pipeline.Augmentation(),
            )
