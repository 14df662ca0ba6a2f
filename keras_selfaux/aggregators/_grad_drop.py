"""GradDrop: per coordinate, all rows of one sign, drawn at random."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_within
from keras_selfaux._random import seed_generator, uniform
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Aggregator, nan_unless_finite


@register
class GradDrop(Aggregator):
    """Draws a sign per coordinate and drops the entries of the other.

    The positive entries are kept with probability
    (1 + sum of entries / sum of their sizes) / 2, else the negative ones:
    always, where all agree. The noise drives training out of minima in
    which tasks merely balance each other.

    Reference: Chen, Ngiam, Huang, Luong, Kretzschmar, Chai, Anguelov,
    *Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign
    Dropout*, 2020 (arXiv 2010.06808), Algorithm 1; on the gradients of the
    shared variables instead of activations.

    Args:
        leak: What part of a dropped entry is kept, in [0, 1]; 1 is the
            sum of the rows. Defaults to `0.0`.
        seed: An integer for the same draws every time. Defaults to `None`.
        **kwargs: See `Aggregator`.

    Raises:
        ValueError: If `leak` is not in range or `seed` is no integer.

    Example:

    >>> aggregator = keras_selfaux.aggregators.GradDrop(leak=0.1)
    >>> model.compile("adam", loss="mse", aggregator=aggregator)
    """

    def __init__(
        self, leak: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "grad_drop")
        super().__init__(**kwargs)
        check_within("leak", leak, "[0, 1]")
        self.leak = leak
        self.seed = seed
        self.seed_generator = seed_generator(seed)

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns the sum of the entries that are kept."""
        factor = nan_unless_finite(rows)
        return [factor * self._kept(tensor) for tensor in rows.tensors]

    def _kept(self, rows: Tensor) -> Tensor:
        # Sums first, so that XLA draws once for all rows, not once for each.
        positive = ops.sum(ops.maximum(rows, 0.0), axis=0)
        negative = ops.sum(ops.minimum(rows, 0.0), axis=0)
        balance = ops.divide_no_nan(positive + negative, positive - negative)
        draw = uniform(balance.shape, self.seed_generator)
        takes_positive = draw < (1 + balance) / 2
        kept = ops.where(takes_positive, positive, negative)
        dropped = ops.where(takes_positive, negative, positive)
        return kept + self.leak * dropped

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the generator's state."""
        return {**super().get_config(), "leak": self.leak, "seed": self.seed}
