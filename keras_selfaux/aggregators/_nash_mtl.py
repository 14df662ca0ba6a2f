"""Nash-MTL: the update on which tasks would agree in bargaining."""

from typing import Any

from keras_selfaux._registry import register
from keras_selfaux.aggregators._fair_grad import FairGrad


@register
class NashMTL(FairGrad):
    """Maximises the product of the tasks' gains.

    A task's gain is the inner product of the update and its row. At the
    solution no task can gain some per cent more without the others losing
    as many, all in all; how long rows are does not matter for the
    direction. Weights w are positive and solve M w = 1/w, with M the rows'
    Gramian: `FairGrad` with `alpha=1`.

    Reference: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik,
    Fetaya, *Multi-Task Learning as a Bargaining Game*, 2022
    (arXiv 2202.01017), Claim 3.1; solved at every step, with weights
    scaled to sum to the number K of tasks.

    Args:
        scale: `"sum"`: weights sum to K. `"authors"`: weights solve the
            equation; the update's length is then √K whatever the rows'
            length. Defaults to `"sum"`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `scale` is not known.

    Example:

    >>> aggregator = keras_selfaux.aggregators.NashMTL()
    >>> aggregator.weights([[1.0, 0.0], [0.0, 9.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1.5, 0.5], ...)>
    """

    def __init__(self, scale: str = "sum", **kwargs: Any) -> None:
        kwargs.setdefault("name", "nash_mtl")
        super().__init__(alpha=1.0, scale=scale, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        config = super().get_config()
        del config["alpha"]
        return config
