import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color

from keras_selfaux.plots import plot_transfer_graph
from keras_selfaux.plots._style import HELPS, HURTS
from tests.plots.boxes import assert_inside

NAN = float("nan")
TASKS = ["seg", "depth", "normal"]
GAINS = np.array([[9.0, 2.0, -4.0], [0.0, 9.0, NAN], [1.0, -0.5, 9.0]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def arrows(ax):
    return {arrow.get_gid(): arrow for arrow in ax.patches}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def numbered(num_tasks):
    return [f"arm_{index}" for index in range(num_tasks)]


def random_gains(num_tasks):
    return np.random.default_rng(0).normal(size=(num_tasks, num_tasks))


def test_arrows_where_a_source_helps_or_hurts():
    ax = plot_transfer_graph(GAINS, TASKS)
    assert set(arrows(ax)) == {
        "depth->seg",
        "normal->seg",
        "seg->normal",
        "depth->normal",
    }


@pytest.mark.parametrize("opposite", [False, True])
def test_arrows_start_at_the_source_and_end_at_the_target(opposite):
    gains = GAINS.T if opposite else GAINS
    ax = plot_transfer_graph(gains, TASKS)
    ax.figure.draw_without_rendering()
    # Each task has one dot.
    dots = [line.get_xydata()[0] for line in ax.lines[: len(TASKS)]]
    for name, arrow in arrows(ax).items():
        # Start, bend and end of the shaft; the head comes after.
        start, _, end = arrow.get_path().vertices[:3]
        nearest = [
            TASKS[np.argmin(np.linalg.norm(dots - point, axis=1))]
            for point in (start, end)
        ]
        assert "->".join(nearest) == name


def test_help_and_hurt_differ_in_colour_and_line():
    of = arrows(plot_transfer_graph(GAINS, TASKS))
    assert same_color(of["depth->seg"].get_edgecolor(), HELPS)
    assert same_color(of["normal->seg"].get_edgecolor(), HURTS)
    assert of["depth->seg"].get_linestyle() == "-"
    assert of["normal->seg"].get_linestyle() != "-"


def test_the_larger_the_gain_or_loss_the_wider():
    of = arrows(plot_transfer_graph(GAINS, TASKS))
    names = ["normal->seg", "depth->seg", "seg->normal", "depth->normal"]
    widths = [of[name].get_linewidth() for name in names]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4


def test_only_gains_above_the_threshold_help():
    ax = plot_transfer_graph(GAINS, TASKS, threshold=1.0)
    # One is not above one. What hurts has no threshold but zero.
    assert set(arrows(ax)) == {"depth->seg", "normal->seg", "depth->normal"}
    assert legend(ax)[0] == "helps: gain above 1, up to +2"


def test_opposite_arrows_stay_apart():
    ax = plot_transfer_graph([[0.0, 1.0], [1.0, 0.0]], ["a", "b"])
    ax.figure.draw_without_rendering()
    # The tasks are above each other: each arrow keeps to one side.
    middles = [arrow.get_path().vertices[1, 0] for arrow in ax.patches]
    assert min(middles) < -0.1
    assert max(middles) > 0.1


def test_tasks_go_round_clockwise_from_the_top():
    ax = plot_transfer_graph(np.zeros((4, 4)), numbered(4))
    places = {text.get_text(): text.get_position() for text in ax.texts}
    directions = [np.round(places[name]) for name in numbered(4)]
    expected = [[0, 1], [1, 0], [0, -1], [-1, 0]]
    np.testing.assert_array_equal(directions, expected)
    assert ax.get_aspect() == 1


def test_legend():
    expected = [
        "helps: gain above 0, up to +2",
        "hurts: gain below 0, down to −4",
    ]
    assert legend(plot_transfer_graph(GAINS, TASKS)) == expected


def test_all_arrows_of_six_tasks_are_drawn():
    ax = plot_transfer_graph(-abs(random_gains(6)), numbered(6))
    assert len(ax.patches) == 30
    assert len(legend(ax)) == 2


def test_the_strongest_arrows_of_many_tasks_are_drawn():
    gains = random_gains(20)
    ax = plot_transfer_graph(gains, numbered(20))
    np.fill_diagonal(gains, 0.0)
    weakest = [np.sort(gains.ravel())[29], np.sort(gains.ravel())[-30]]
    strong = np.argwhere((gains <= weakest[0]) | (gains >= weakest[1]))
    assert set(arrows(ax)) == {f"arm_{s}->arm_{t}" for t, s in strong}
    left_out = [np.sum(gains > 0) - 30, np.sum(gains < 0) - 30]
    assert legend(ax)[2] == (
        f"not drawn: {left_out[0]} weaker that help, {left_out[1]} that hurt"
    )


@pytest.mark.parametrize("value", [0.0, NAN, float("inf")])
def test_nothing_helps_or_hurts(value):
    ax = plot_transfer_graph(np.full((3, 3), value), TASKS)
    ax.figure.draw_without_rendering()
    assert not ax.patches
    assert legend(ax) == ["helps: gain above 0", "hurts: gain below 0"]


@pytest.mark.parametrize("num_tasks", [1, 3, 20])
def test_everything_lies_inside_the_figure(num_tasks):
    names = [f"{name}_long" for name in numbered(num_tasks)]
    ax = plot_transfer_graph(random_gains(num_tasks), names)
    figure = ax.figure
    figure.draw_without_rendering()
    assert_inside(figure)
    names = [text.get_window_extent() for text in ax.texts]
    for index, box in enumerate(names):
        assert box.count_overlaps(names[:index]) == 0


def test_draws_on_given_axes_and_shows_nothing(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown"))
    _, ax = plt.subplots()
    assert plot_transfer_graph(GAINS, TASKS, ax=ax) is ax
    assert plt.get_fignums() == [1]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least one name, and each name"):
        plot_transfer_graph(GAINS, [])
    with pytest.raises(ValueError, match=r"shape \(3, 3\) with 2 tasks"):
        plot_transfer_graph(GAINS, ["a", "b"])
    with pytest.raises(ValueError, match="`threshold` must be zero or a pos"):
        plot_transfer_graph(GAINS, TASKS, threshold=-1.0)
