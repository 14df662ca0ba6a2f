"""Pictures of what tasks give each other.

Every function takes plain data and a Matplotlib `Axes` (or makes one) and
returns the `Axes`; none shows or saves anything. Matplotlib is needed only when
one is called: `pip install "keras_selfaux[plots]"`.

```python
from keras_selfaux import plots

ax = plots.plot_task_weights(model.task_weights)
ax.figure.savefig("weights.png")
```
"""

from keras_selfaux.plots._task_changes import plot_task_changes
from keras_selfaux.plots._weights import plot_task_weights

__all__ = ["plot_task_changes", "plot_task_weights"]
