import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_selfaux.plots import plot_task_changes

CHANGES = {
    "equal": {"seg": -2.0, "depth": 3.0},
    "cagrad": {"seg": 1.0, "depth": 4.0},
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_one_bar_per_task_and_method():
    ax = plot_task_changes(CHANGES)
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights == [[-2.0, 3.0], [1.0, 4.0]]
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert ticks == ["seg", "depth"]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["equal", "cagrad"]
    assert "%" in ax.get_ylabel()


def test_bars_of_a_task_stand_around_its_tick():
    ax = plot_task_changes(CHANGES)
    first, second = (list(bars) for bars in ax.containers)
    for place in (0, 1):
        left = first[place].get_x()
        middle = first[place].get_x() + first[place].get_width()
        right = second[place].get_x() + second[place].get_width()
        np.testing.assert_allclose(
            [left, middle, right], place + np.array([-0.4, 0, 0.4]), atol=1e-9
        )


def test_zero_line():
    (line,) = plot_task_changes(CHANGES).lines
    np.testing.assert_array_equal(line.get_ydata(), [0.0, 0.0])


def test_order_of_tasks_is_that_of_the_first_method():
    changes = {"a": {"x": 1.0, "y": 2.0}, "b": {"y": 4.0, "x": 3.0}}
    ax = plot_task_changes(changes)
    assert [bar.get_height() for bar in ax.containers[1]] == [3.0, 4.0]


def test_error_bars_only_for_pairs():
    changes = {
        "equal": {"seg": (1.0, 0.5), "depth": np.float32(2.0)},
        "cagrad": {"seg": 1.0, "depth": 2.0},
    }
    ax = plot_task_changes(changes)
    bars = [group for group in ax.containers if hasattr(group, "errorbar")]
    assert bars[1].errorbar is None
    (ranges,) = bars[0].errorbar.lines[2]
    ends = [segment[:, 1] for segment in ranges.get_segments()]
    np.testing.assert_allclose(ends, [[0.5, 1.5], [2.0, 2.0]])


def test_methods_beyond_the_colours_differ_by_hatch():
    ax = plot_task_changes({f"m{i}": {"seg": 1.0} for i in range(9)})
    first, ninth = ax.containers[0][0], ax.containers[8][0]
    assert first.get_facecolor() == ninth.get_facecolor()
    assert first.get_hatch() != ninth.get_hatch()


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    _, ax = plt.subplots()
    assert plot_task_changes(CHANGES, ax) is ax
    assert plt.get_fignums() == [1]


@pytest.mark.parametrize("changes", [{}, {"equal": {}}])
def test_empty(changes):
    with pytest.raises(ValueError, match="at least one method and one task"):
        plot_task_changes(changes)


def test_methods_with_other_tasks():
    with pytest.raises(ValueError, match=r"changes\['b'\].*missing: \['y'\]"):
        plot_task_changes({"a": {"x": 1.0, "y": 1.0}, "b": {"x": 1.0}})


@pytest.mark.parametrize("change", ["1", (1.0,), (1.0, 2.0, 3.0), (1.0, None)])
def test_change_that_is_no_number(change):
    with pytest.raises(ValueError, match=r"task 'seg' under method 'equal'"):
        plot_task_changes({"equal": {"seg": change}})
