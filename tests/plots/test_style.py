import subprocess
import sys

import pytest

from keras_selfaux import plots


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plot_sharing_sweep", [{"usual": {0: 1.0}}]),
        ("plot_task_changes", [{"equal": {"a": 1.0}}]),
        ("plot_task_weights", [{("a", "a"): 1.0}]),
        ("plot_transfer_graph", [[[0.0]], ["a"]]),
        ("plot_transfer_matrix", [[[0.0]], ["a"]]),
        ("plot_weight_history", [[{("a", "a"): 1.0}]]),
    ],
)
def test_error_names_what_to_install(name, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r'pip install "keras_selfaux\[plots\]"'
    ):
        getattr(plots, name)(*data)


@pytest.mark.slow
def test_import_needs_no_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "import keras_selfaux.plots"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
