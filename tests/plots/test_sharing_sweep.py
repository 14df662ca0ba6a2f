import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_selfaux.plots import plot_sharing_sweep
from tests.plots.boxes import assert_inside

RESULTS = {
    "usual": {2: -2.0, 0: 1.0, 1: 0.5},
    "asymmetric": {0: 1.0, 2: 3.0},
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def points(ax):
    return [group.lines[0].get_xydata().tolist() for group in ax.containers]


def ranges(group):
    """Ends of a line's error bars."""
    (bars,) = group.lines[2]
    return [segment[:, 1] for segment in bars.get_segments()]


def test_one_line_per_setting_by_number_of_stages():
    ax = plot_sharing_sweep(RESULTS)
    usual, asymmetric = points(ax)
    assert usual == [[0, 1.0], [1, 0.5], [2, -2.0]]
    assert asymmetric == [[0, 1.0], [2, 3.0]]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["usual", "asymmetric"]
    assert all(place == round(place) for place in ax.get_xticks())


def test_labels():
    ax = plot_sharing_sweep(RESULTS)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shared stages", "Δm (%)")
    ax = plot_sharing_sweep(RESULTS, ylabel="mIoU", xlabel="blocks")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("blocks", "mIoU")


def test_zero_line():
    line = plot_sharing_sweep(RESULTS).lines[0]
    np.testing.assert_array_equal(line.get_ydata(), [0.0, 0.0])


def test_pairs_and_lists_have_error_bars():
    results = {
        "pairs": {0: (1.0, 0.5), 1: np.float32(2.0)},
        "runs": {0: [1.0, np.float32(3.0), 2], 1: [4.0]},
        "numbers": {0: 1.0},
        "one run each": {0: [1.0]},
    }
    ax = plot_sharing_sweep(results)
    pairs, runs, numbers, single = ax.containers
    np.testing.assert_allclose(ranges(pairs), [[0.5, 1.5], [2.0, 2.0]])
    # The sample's standard deviation of 1, 2 and 3 is 1.
    np.testing.assert_allclose(ranges(runs), [[1.0, 3.0], [4.0, 4.0]])
    assert not numbers.has_yerr
    assert not single.has_yerr
    assert points(ax)[1] == [[0, 2.0], [1, 4.0]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_runs_that_are_not_finite_leave_a_gap(value):
    ax = plot_sharing_sweep({"usual": {0: [1.0, value], 1: [1.0, 2.0]}})
    ax.figure.draw_without_rendering()
    assert points(ax)[0][1] == [1, 1.5]
    assert not np.isfinite(points(ax)[0][0][1])


def test_settings_differ_by_marker_and_line():
    ax = plot_sharing_sweep({f"s{i}": {0: 1.0, 1: 2.0} for i in range(5)})
    drawn = [group.lines[0] for group in ax.containers]
    assert len({line.get_marker() for line in drawn}) == 5
    # Matplotlib says "--" of a list of dashes, too, which makes five.
    assert len({line.get_linestyle() for line in drawn}) == 4
    assert len({line.get_color() for line in drawn}) == 5


def test_thirty_settings_look_different():
    ax = plot_sharing_sweep({f"s{i}": {0: 1.0, 1: 2.0} for i in range(30)})
    drawn = [group.lines[0] for group in ax.containers]
    assert len({(line.get_color(), line.get_marker()) for line in drawn}) == 30


@pytest.mark.parametrize("num_settings", [1, 3, 20])
def test_everything_lies_inside_the_figure(num_settings):
    results = {
        f"setting {index}": {stage: index + stage for stage in range(20)}
        for index in range(num_settings)
    }
    ax = plot_sharing_sweep(results)
    figure = ax.figure
    figure.draw_without_rendering()
    assert_inside(figure)
    # The legend leaves the lines their place.
    assert ax.get_window_extent().height > 0.5 * figure.bbox.height
    assert ax.get_window_extent().width > 0.4 * figure.bbox.width


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    _, ax = plt.subplots()
    assert plot_sharing_sweep(RESULTS, ax) is ax
    assert plt.get_fignums() == [1]


@pytest.mark.parametrize(
    "results", [{}, {"usual": {}}, {"a": {0: 1.0}, "b": {}}]
)
def test_empty(results):
    with pytest.raises(ValueError, match="a setting, and every setting a re"):
        plot_sharing_sweep(results)


def test_key_that_is_no_number():
    with pytest.raises(ValueError, match=r"keys of setting 'usual'.*'two'"):
        plot_sharing_sweep({"usual": {"two": 1.0}})


@pytest.mark.parametrize(
    "result", ["1", None, (1.0,), (1.0, None), [], ["1"], [(1.0, 2.0)]]
)
def test_result_that_is_no_number(result):
    with pytest.raises(
        ValueError, match=r"setting 'usual' with 2 shared stages must be a num"
    ):
        plot_sharing_sweep({"usual": {2: result}})


def test_array_is_no_list():
    with pytest.raises(ValueError, match="or a list of numbers"):
        plot_sharing_sweep({"usual": {0: np.ones(1)}})
