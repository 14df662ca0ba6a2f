import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color

from keras_selfaux.plots import plot_weight_history
from tests.plots.boxes import assert_inside

HISTORY = [
    {("seg", "seg"): 1.0, ("depth", "depth"): 0.5, ("seg", "depth"): 0.25},
    {("seg", "seg"): 1.1, ("depth", "depth"): 0.6, ("seg", "depth"): 0.2},
]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def history_of(num_tasks, num_epochs=3):
    """Later tasks are heavier sources."""
    tasks = range(num_tasks)
    return [
        {
            (f"arm_{s}", f"arm_{t}"): epoch + (100 if s == t else s)
            for s in tasks
            for t in tasks
        }
        for epoch in range(num_epochs)
    ]


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_panel_per_target_and_one_line_per_source():
    seg, depth = plot_weight_history(HISTORY)
    assert [ax.get_title() for ax in (seg, depth)] == [
        "target seg",
        "target depth",
    ]
    assert legend(seg) == ["primary"]
    assert legend(depth) == ["primary", "seg"]
    np.testing.assert_array_equal(
        lines(depth)["seg"].get_xydata(), [[1, 0.25], [2, 0.2]]
    )
    np.testing.assert_array_equal(lines(seg)["primary"].get_ydata(), [1.0, 1.1])
    assert "ω" in seg.get_ylabel()
    assert depth.get_xlabel() == "epoch"


def test_epochs():
    seg, _ = plot_weight_history(HISTORY, epochs=[0, 10])
    np.testing.assert_array_equal(lines(seg)["primary"].get_xdata(), [0, 10])


def test_order_of_tasks():
    panels = plot_weight_history(HISTORY, tasks=["depth", "other", "seg"])
    titles = [ax.get_title() for ax in panels]
    assert titles == ["target depth", "target seg"]


def test_line_is_broken_where_a_pair_is_missing():
    history = [HISTORY[0], {("seg", "seg"): 1.0}, HISTORY[1]]
    _, depth = plot_weight_history(history)
    np.testing.assert_array_equal(
        lines(depth)["seg"].get_ydata(), [0.25, np.nan, 0.2]
    )


def test_target_without_primary():
    (depth,) = plot_weight_history([{("seg", "depth"): 1.0}])
    assert legend(depth) == ["seg"]


def test_one_epoch_shows_as_dots():
    (one,) = plot_weight_history([{("seg", "seg"): 1.0}])
    assert one.lines[0].get_marker() == "o"
    seg, _ = plot_weight_history(HISTORY)
    assert seg.lines[0].get_marker() == ""


def test_all_sources_are_named_while_there_are_few_tasks():
    panels = plot_weight_history(history_of(6))
    assert legend(panels[5]) == ["primary", *(f"arm_{s}" for s in range(5))]
    styles = [line.get_linestyle() for line in panels[5].lines]
    colors = [line.get_color() for line in panels[5].lines]
    assert len(set(colors)) == 6
    # Matplotlib says "--" of a list of dashes, too, which makes five.
    assert len(set(styles)) == 4


def test_the_heaviest_sources_are_named_with_many_tasks():
    panels = plot_weight_history(history_of(7))
    assert legend(panels[0]) == ["primary", "arm_6", "arm_5", "arm_4"]
    assert legend(panels[6]) == ["primary", "arm_5", "arm_4", "arm_3"]
    assert all(len(ax.lines) == 7 for ax in panels)
    grey = panels[0].lines[-1]
    assert grey.get_linewidth() < lines(panels[0])["arm_6"].get_linewidth()


def test_a_source_looks_the_same_in_all_panels():
    panels = plot_weight_history(history_of(4))
    drawn = [lines(ax)["arm_3"] for ax in panels[:3]]
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn}
    assert len(looks) == 1


def test_primary_is_black_and_thickest():
    for ax in plot_weight_history(history_of(3)):
        first, *others = ax.lines
        assert first.get_label() == "primary"
        assert same_color(first.get_color(), "black")
        assert all(
            line.get_linewidth() < first.get_linewidth() for line in others
        )


def test_weights_that_are_not_finite():
    history = [{("a", "a"): np.inf, ("b", "a"): np.nan}] * 2
    (panel,) = plot_weight_history(history, tasks=[*"abcdefgh"])
    panel.figure.draw_without_rendering()
    assert legend(panel) == ["primary", "b"]


@pytest.mark.parametrize("num_tasks", [1, 3, 20])
def test_everything_lies_inside_the_figure(num_tasks):
    panels = plot_weight_history(history_of(num_tasks))
    assert len(panels) == num_tasks
    figure = panels[0].figure
    # Placing so many is slow enough without drawing them.
    figure.get_layout_engine().execute(figure)
    assert_inside(figure)
    boxes = [ax.get_tightbbox() for ax in panels]
    for index, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:index]) == 0


def test_no_panel_is_left_empty():
    panels = plot_weight_history(history_of(5))
    assert panels[0].figure.axes == list(panels)


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    _, table = plt.subplots(2, 1)
    assert plot_weight_history(HISTORY, axes=table) == tuple(table)
    assert plt.get_fignums() == [1]
    assert all(ax.get_ylabel() for ax in table)


def test_too_few_axes():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"1 axes for the targets \['seg', 'd"):
        plot_weight_history(HISTORY, axes=[ax])


@pytest.mark.parametrize("history", [[], [{}]])
def test_empty(history):
    with pytest.raises(ValueError, match="`history` must have at least one"):
        plot_weight_history(history)


@pytest.mark.parametrize("history", [HISTORY[0], [1.0], [HISTORY]])
def test_history_that_is_no_sequence_of_mappings(history):
    with pytest.raises(ValueError, match="sequence of mappings, one per epoch"):
        plot_weight_history(history)


def test_key_that_is_not_a_pair():
    with pytest.raises(ValueError, match=r"A key of `history` must be a pair"):
        plot_weight_history([{"seg": 1.0}])


def test_unknown_task():
    with pytest.raises(ValueError, match=r"`history`.*without \['depth'\]"):
        plot_weight_history(HISTORY, tasks=["seg"])


def test_other_number_of_epochs():
    with pytest.raises(ValueError, match="3 epochs, 2 entries"):
        plot_weight_history(HISTORY, epochs=[1, 2, 3])
