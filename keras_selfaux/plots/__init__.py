"""Pictures of what tasks give each other.

Every function takes plain data and a Matplotlib `Axes` (or makes one) and
returns the `Axes`; none shows or saves anything. `plot_weight_history` and
`plot_predictions` return several. Matplotlib is needed only when one is
called: `pip install "keras_selfaux[plots]"`.

```python
from keras_selfaux import plots

ax = plots.plot_task_weights(model.task_weights)
ax.figure.savefig("weights.png")
```
"""

from keras_selfaux.plots._predictions import plot_predictions
from keras_selfaux.plots._sharing_sweep import plot_sharing_sweep
from keras_selfaux.plots._task_changes import plot_task_changes
from keras_selfaux.plots._transfer_graph import plot_transfer_graph
from keras_selfaux.plots._transfer_matrix import plot_transfer_matrix
from keras_selfaux.plots._weight_history import plot_weight_history
from keras_selfaux.plots._weights import plot_task_weights

__all__ = [
    "plot_predictions",
    "plot_sharing_sweep",
    "plot_task_changes",
    "plot_task_weights",
    "plot_transfer_graph",
    "plot_transfer_matrix",
    "plot_weight_history",
]
