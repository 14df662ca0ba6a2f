import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_selfaux import plots

KINDS = {
    "seg": "classes",
    "depth": "depth",
    "normal": "normals",
    "smiling": "attribute",
}


def case(count=2):
    random = np.random.default_rng(0)
    shape = (count, 4, 5)
    labels = {
        "seg": random.integers(0, 3, (*shape, 1)),
        "depth": random.uniform(1, 3, (*shape, 1)),
        "normal": random.normal(size=(*shape, 3)),
        "smiling": np.float32([[1.0], [np.nan]])[:count],
    }
    labels["normal"] /= np.linalg.norm(labels["normal"], axis=-1)[..., None]
    predictions = {
        "seg": random.normal(size=(*shape, 3)),
        "depth": labels["depth"].copy(),
        "normal": 5 * labels["normal"],
        "smiling": np.float32([[0.0], [2.0]])[:count],
    }
    images = random.integers(0, 256, (*shape, 3)).astype("uint8")
    return images, labels, predictions


@pytest.fixture
def draw():
    yield plots.plot_predictions
    plt.close("all")


def picture(ax):
    return np.asarray(ax.get_images()[0].get_array())


def test_images_truth_and_predictions_stand_side_by_side(draw):
    images, labels, predictions = case()
    axes = draw(images, labels, predictions, KINDS)
    assert axes.shape == (2, 9)
    titles = [ax.get_title() for ax in axes[0]]
    assert titles[::2] == ["image"] + ["predicted"] * 3 + [""]
    assert titles[1::2] == [*KINDS]
    for row in range(2):
        assert np.array_equal(picture(axes[row, 0]), images[row])


def test_what_is_right_looks_like_the_truth(draw):
    images, labels, predictions = case()
    predictions["seg"] = 7.0 * np.eye(3)[labels["seg"][..., 0]]
    axes = draw(images, labels, predictions, KINDS)
    for row in range(2):
        for column in (1, 3, 5):
            truth, prediction = axes[row, column : column + 2]
            assert np.allclose(picture(truth), picture(prediction), atol=1e-6)


def test_classes_differ_in_color(draw):
    images, labels, predictions = case()
    axes = draw(images, labels, predictions, KINDS)
    for row in range(2):
        classes = labels["seg"][row, ..., 0]
        colors = picture(axes[row, 1])
        for one in range(3):
            assert len(np.unique(colors[classes == one], axis=0)) == 1
        assert len(np.unique(colors.reshape(-1, 3), axis=0)) == 3
        predicted = np.argmax(predictions["seg"][row], axis=-1)
        same = picture(axes[row, 2])[predicted == 1][0]
        assert np.allclose(same, colors[classes == 1][0])


def test_missing_labels_are_grey(draw):
    images, labels, predictions = case()
    labels["seg"][0, 1, 2] = 255
    labels["depth"][0, 2, 2] = np.nan
    labels["normal"][0, 3, 2] = np.nan
    axes = draw(images, labels, predictions, KINDS)
    for column, place in ((1, (1, 2)), (3, (2, 2)), (5, (3, 2))):
        colors = picture(axes[0, column])
        is_grey = np.all(np.isclose(colors, 0.93), axis=-1)
        assert is_grey[place]
        assert is_grey.sum() == 1


def test_depth_scale_is_that_of_the_truth(draw):
    images, labels, predictions = case()
    predictions["depth"] = labels["depth"] + 100
    axes = draw(images, labels, predictions, KINDS)
    assert len(np.unique(picture(axes[0, 4]).reshape(-1, 3), axis=0)) == 1
    labels["depth"][:] = np.nan  # no scale at all
    axes = draw(images, labels, predictions, KINDS)
    assert np.allclose(picture(axes[0, 3]), 0.93)


def test_attributes_are_words_and_probabilities(draw):
    axes = draw(*case(), KINDS)
    texts = [[ax.texts[0].get_text() for ax in row] for row in axes[:, 7:]]
    assert texts == [["yes", "0.50"], ["?", "0.88"]]


def test_grey_images(draw):
    images, labels, predictions = case(1)
    axes = draw(images[..., :1], labels, predictions, KINDS)
    assert picture(axes[0, 0]).shape[:2] == (4, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 5, 3))}, r"`images` must be of.*\(4, 5, 3\)"),
        ({"labels": {}}, "`labels` must have one entry per task"),
        ({"predictions": {}}, "`predictions` must have one entry per task"),
        ({"kinds": {**KINDS, "seg": "mask"}}, r"kinds\['seg'\].*'mask'"),
    ],
)
def test_refuses(change, message):
    names = ("images", "labels", "predictions")
    arguments = dict(zip(names, case(), strict=True), kinds=KINDS)
    with pytest.raises(ValueError, match=message):
        plots.plot_predictions(**{**arguments, **change})
