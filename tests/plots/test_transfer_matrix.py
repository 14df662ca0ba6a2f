import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_selfaux.plots import plot_transfer_matrix
from tests.plots.boxes import assert_inside

NAN = float("nan")
TASKS = ["seg", "depth", "normal"]
GAINS = [[9.0, 2.0, -4.0], [0.0, 9.0, NAN], [1.23, -0.5, 9.0]]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def written(ax):
    return {text.get_position()[::-1]: text.get_text() for text in ax.texts}


def numbered(num_tasks):
    return [f"arm_{index}" for index in range(num_tasks)]


def test_rows_are_targets_and_columns_are_sources():
    ax = plot_transfer_matrix(GAINS, TASKS)
    np.testing.assert_array_equal(
        ax.images[0].get_array().filled(NAN),
        [[NAN, 2.0, -4.0], [0.0, NAN, NAN], [1.23, -0.5, NAN]],
    )
    assert labels(ax.get_xticklabels()) == TASKS
    assert labels(ax.get_yticklabels()) == TASKS
    assert ax.get_xlabel().startswith("source")
    assert ax.get_ylabel().startswith("target")


def test_values_are_written_where_there_is_a_gain():
    ax = plot_transfer_matrix(GAINS, TASKS)
    assert written(ax) == {
        (0, 1): "+2.0",
        (0, 2): "−4.0",
        (1, 0): "+0.00",
        (2, 0): "+1.2",
        (2, 1): "−0.50",
    }


def test_standard_deviations_are_under_the_values_that_have_one():
    std = [[0.0, 0.25, NAN], [0.1, 0.0, 0.0], [0.5, 1.5, 0.0]]
    ax = plot_transfer_matrix(GAINS, TASKS, std)
    assert written(ax) == {
        (0, 1): "+2.0\n±0.25",
        (0, 2): "−4.0",
        (1, 0): "+0.00\n±0.10",
        (2, 0): "+1.2\n±0.50",
        (2, 1): "−0.50\n±1.5",
    }


def test_digits_beyond_the_third_of_the_largest_are_dropped():
    ax = plot_transfer_matrix(
        [[0.0, 123.4, 9.97], [0.456, 0.0, -12.3], [0.0, 99.6, 0.0]], TASKS
    )
    texts = ["+123", "+10", "+0", "−12", "+0", "+100"]
    assert list(written(ax).values()) == texts


@pytest.mark.parametrize(("scale", "expected"), [(1e-3, "+0.0020"), (1e6, 0)])
def test_scales_other_than_percent(scale, expected):
    ax = plot_transfer_matrix(np.multiply(GAINS, scale), TASKS)
    assert written(ax)[0, 1] == (expected or "+2000000")


def test_colours_are_centred_at_zero():
    image = plot_transfer_matrix(GAINS, TASKS).images[0]
    assert image.get_clim() == (-4.0, 4.0)
    hurts, zero, helps = (image.cmap(image.norm(x))[:3] for x in (-3, 0, 3))
    assert min(zero) > 0.9
    # Blue tells them apart for those who mistake red for green.
    assert helps[2] - hurts[2] > 0.3


@pytest.mark.parametrize("value", [0.0, NAN, float("inf")])
def test_all_gains_zero_or_missing(value):
    ax = plot_transfer_matrix(np.full((3, 3), value), TASKS, np.zeros((3, 3)))
    ax.figure.draw_without_rendering()
    assert ax.images[0].get_clim() == (-1.0, 1.0)
    assert len(ax.texts) == (6 if value == 0 else 0)


def test_missing_cells_are_hatched():
    (behind,) = plot_transfer_matrix(GAINS, TASKS).patches
    assert behind.get_hatch()
    assert behind.get_zorder() < 1


def test_label():
    ax = plot_transfer_matrix(GAINS, TASKS, label="affinity")
    assert ax.figure.axes[1].get_ylabel() == "affinity"
    ax = plot_transfer_matrix(GAINS, TASKS)
    assert ax.figure.axes[1].get_ylabel() == "gain (%)"


@pytest.mark.parametrize("num_tasks", [1, 3, 20])
def test_everything_lies_inside_the_figure_and_the_cells(num_tasks):
    gains = np.full((num_tasks, num_tasks), -12.3)
    ax = plot_transfer_matrix(gains, numbered(num_tasks), abs(gains))
    figure = ax.figure
    figure.draw_without_rendering()
    assert_inside(figure)
    assert len(ax.texts) == num_tasks * (num_tasks - 1)
    width, height = np.diff(ax.transData.transform([[0, 1], [1, 0]]), axis=0)[0]
    for text in ax.texts[:3]:
        box = text.get_window_extent()
        assert box.width < width
        assert box.height < height
        assert text.get_fontsize() >= 6


def test_small_axes_leave_out_what_does_not_fit():
    # Both, gains alone, nothing: these spreads take more room than the gains.
    gains, std = np.full((6, 6), 5.0), np.full((6, 6), 1e4)
    num_lines = []
    for side in (5.0, 3.2, 1.8):
        _, ax = plt.subplots(figsize=(side, side), layout="constrained")
        plot_transfer_matrix(gains, numbered(6), std, ax)
        texts = labels(ax.texts)
        num_lines.append(len(texts[0].split("\n")) if texts else 0)
    assert num_lines == [2, 1, 0]


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    ax = plt.figure().subfigures(1, 2)[0].subplots()
    assert plot_transfer_matrix(GAINS, TASKS, ax=ax) is ax
    assert plt.get_fignums() == [1]


def test_data_stay_as_they_were():
    gains = np.array(GAINS)
    plot_transfer_matrix(gains, TASKS)
    np.testing.assert_array_equal(gains, GAINS)


@pytest.mark.parametrize("tasks", [[], ["a", "a"]])
def test_no_tasks_or_one_twice(tasks):
    with pytest.raises(ValueError, match="at least one name, and each name"):
        plot_transfer_matrix(np.zeros((2, 2)), tasks)


@pytest.mark.parametrize("shape", [(2, 2), (3,), (3, 2), (3, 3, 1)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"`gains` must have one row per t"):
        plot_transfer_matrix(np.zeros(shape), TASKS)
    with pytest.raises(ValueError, match=r"`std` must have.*with 3 tasks"):
        plot_transfer_matrix(GAINS, TASKS, np.zeros(shape))
