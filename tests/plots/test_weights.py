import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_selfaux.plots import plot_task_weights
from tests.plots.boxes import assert_inside

WEIGHTS = {
    ("seg", "seg"): 1.0,
    ("depth", "depth"): 0.5,
    ("seg", "depth"): 0.25,
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def weights_of(num_tasks):
    tasks = [f"arm_{index}" for index in range(num_tasks)]
    return {(source, target): 0.3 for source in tasks for target in tasks}


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_rows_are_targets_and_columns_are_sources():
    ax = plot_task_weights(WEIGHTS)
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(
        shown.filled(np.nan), [[1.0, np.nan], [0.25, 0.5]]
    )
    assert labels(ax.get_xticklabels()) == ["seg", "depth"]
    assert labels(ax.get_yticklabels()) == ["seg", "depth"]
    assert ax.get_xlabel().startswith("source")
    assert ax.get_ylabel().startswith("target")


def test_values_are_written_where_there_is_an_edge():
    ax = plot_task_weights(WEIGHTS)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "1", (0, 1): "0.25", (1, 1): "0.5"}


def test_order_of_tasks():
    ax = plot_task_weights(WEIGHTS, tasks=["depth", "other", "seg"])
    assert labels(ax.get_yticklabels()) == ["depth", "other", "seg"]
    assert ax.images[0].get_array()[0, 2] == 0.25


def test_order_of_the_primaries_is_the_default():
    backwards = dict(reversed(WEIGHTS.items()))
    ax = plot_task_weights(backwards)
    assert labels(ax.get_yticklabels()) == ["depth", "seg"]


@pytest.mark.parametrize(("num_tasks", "written"), [(12, 144), (13, 0)])
def test_values_only_while_they_can_be_read(num_tasks, written):
    ax = plot_task_weights(weights_of(num_tasks))
    assert len(ax.texts) == written


@pytest.mark.parametrize("num_tasks", [1, 3, 20])
def test_everything_lies_inside_the_figure(num_tasks):
    ax = plot_task_weights(weights_of(num_tasks))
    figure = ax.figure
    figure.draw_without_rendering()
    assert_inside(figure)


def test_text_stands_out_from_its_cell():
    ax = plot_task_weights({("a", "a"): 0.0, ("b", "b"): 1.0})
    assert [text.get_color() for text in ax.texts] == ["white", "black"]


def test_weights_of_zero_and_nan():
    ax = plot_task_weights({("a", "a"): 0.0, ("b", "a"): float("nan")})
    ax.figure.draw_without_rendering()
    assert labels(ax.texts) == ["0"]


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    _, ax = plt.subplots()
    assert plot_task_weights(WEIGHTS, ax=ax) is ax
    assert plt.get_fignums() == [1]


def test_empty():
    with pytest.raises(ValueError, match="must have at least one entry"):
        plot_task_weights({})


@pytest.mark.parametrize("key", ["seg", ("seg",), ("a", "b", "c")])
def test_key_that_is_not_a_pair(key):
    with pytest.raises(ValueError, match=r"must be a pair \(source, target\)"):
        plot_task_weights({key: 1.0})


def test_unknown_task():
    with pytest.raises(ValueError, match=r"without \['depth'\]"):
        plot_task_weights(WEIGHTS, tasks=["seg"])
