import subprocess
import sys

import pytest

from keras_selfaux.plots import plot_task_changes, plot_task_weights


@pytest.mark.parametrize(
    ("plot", "data"),
    [
        (plot_task_weights, {("a", "a"): 1.0}),
        (plot_task_changes, {"equal": {"a": 1.0}}),
    ],
)
def test_error_names_what_to_install(plot, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r'pip install "keras_selfaux\[plots\]"'
    ):
        plot(data)


def test_import_needs_no_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "import keras_selfaux.plots"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
