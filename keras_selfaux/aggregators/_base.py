"""`Aggregator` and `GramianAggregator`: bases of all rules for conflicts."""

import warnings
from typing import Any, NamedTuple

from keras import ops

from keras_selfaux._checks import as_numbers, check_choice, error
from keras_selfaux._rows import Rows, combined
from keras_selfaux._rule import Rule
from keras_selfaux._types import Tensor


class Aggregator(Rule):
    """Turns the gradients of several tasks into one update.

    Row i is the gradient of task i's loss on the variables that several
    tasks share: the ω-weighted sum of the losses on its labels, clones
    included. A subclass implements `call`: what it returns takes the place
    of the sum of the rows, and equals K times the row where K rows are the
    same. A row that is zero, such as that of a task without labels in the
    batch, is left out as if there were one task fewer.

    Args:
        rows: What the rows are gradients with respect to. `"parameters"`:
            the shared variables. `"features"`: the one feature tensor
            through which all that tasks share runs; only for aggregators
            that need no more than the rows' inner products. Defaults to
            `"parameters"`.

    Attributes:
        num_rows: The number K of tasks, once built.
        failures: How many steps since the last report had no solution to
            within the solver's tolerance.
    """

    def __init__(self, rows: str = "parameters", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("rows", rows, ("parameters", "features"))
        is_gramian = isinstance(self, GramianAggregator)
        if rows == "features" and not is_gramian:
            raise error(
                f"Aggregator {self.name!r} looks at every entry of the rows, "
                "and features of one batch are not those of the next.",
                received="rows='features'",
                remedy="Pass rows='parameters', or use an aggregator that "
                "needs inner products alone.",
            )
        self.rows = rows
        self.num_rows = 0

    def build(self, num_rows: int) -> None:
        """Creates the state for K tasks."""
        self.num_rows = num_rows
        self.failures = self.add_state("failures", ())
        self.build_state(num_rows)

    def build_state(self, num_rows: int) -> None:
        """Creates variables; called once, when K is known."""

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns the update that takes the place of the sum of the rows.

        Args:
            rows: The rows; the same on every replica.

        Returns:
            One tensor for each of `rows.tensors`, without the first axis.
        """
        raise NotImplementedError

    def on_epoch_end(self) -> None:
        """Warns if the solver failed in the epoch."""
        failures = int(ops.convert_to_numpy(self.failures))
        if failures:
            self.failures.assign(0.0)
            warnings.warn(
                f"Aggregator {self.name!r} did not find its solution in "
                f"{failures} steps of this epoch and used the nearest it "
                "had: the gradients of the tasks may be opposed, or not "
                "finite.",
                stacklevel=2,
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state."""
        return {**super().get_config(), "rows": self.rows}


class Coefficients(NamedTuple):
    """What a `GramianAggregator` multiplies the rows by.

    Attributes:
        values: Tensor of shape `(K,)`, float32; 0 for rows left out.
        converged: Whether they solve the method's problem: bool scalar.
    """

    values: Tensor
    converged: Tensor | bool = True


class GramianAggregator(Aggregator):
    """An aggregator that needs no more than the rows' inner products.

    A subclass implements `solve`. Here `weights` are the coefficients of
    rows; what Keras calls a layer's weights are its `variables`.

    Attributes:
        degree: How coefficients answer to rows c times as long: they
            become c^degree times as large. Defaults to 0.
    """

    degree: float = 0.0

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the coefficients of the rows in the update.

        Args:
            gramian: Tensor of shape `(K, K)`, float32.
            present: Tensor of shape `(K,)`, bool: which rows to combine;
                the method must work as if there were no others.
        """
        raise NotImplementedError

    def weights(self, gramian: Any) -> Tensor:
        """Returns the coefficients of the rows from their inner products.

        Args:
            gramian: Tensor of shape `(K, K)`: `gramian[i, j]` is the inner
                product of rows i and j. Rows of length 0 are left out.

        Returns:
            Tensor of shape `(K,)`, float32. Rows left out have 0.

        Raises:
            ValueError: If `gramian` is not a square matrix.
        """
        if not ops.is_tensor(gramian):
            gramian = as_numbers("gramian", gramian)
        gramian = ops.cast(gramian, "float32")
        shape = tuple(gramian.shape)
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            raise error(
                "`gramian` must be a square matrix.",
                received=f"shape {shape}",
                remedy="Pass the inner products of the rows, shape (K, K).",
            )
        if not self.built:
            self.build(shape[0])
        if shape[0] != self.num_rows:
            raise error(
                f"Aggregator {self.name!r} has a state for {self.num_rows} "
                "rows.",
                received=f"a Gramian of shape {shape}",
                remedy="Use another instance for another number of rows.",
            )
        return self._weigh(gramian).values

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns the rows' sum, each times its coefficient."""
        return combined(rows.tensors, self.coefficients(rows))

    def coefficients(self, rows: Rows) -> Tensor:
        """Returns the coefficients of a step's rows, shape `(K,)`."""
        values, converged = self._weigh(rows.gramian)
        # Half precision overflows now and then; the step is then skipped.
        is_finite = ops.all(ops.isfinite(rows.gramian))
        failed = ops.logical_and(is_finite, ops.logical_not(converged))
        self.failures.assign_add(ops.cast(failed, "float32"))
        if self.degree:
            values = values * ops.power(rows.scale, self.degree)
        return values

    def _weigh(self, gramian: Tensor) -> Coefficients:
        squares = ops.diagonal(gramian)
        # A row that is not finite spoils the update, but not the state.
        present = ops.logical_and(squares > 0, ops.isfinite(squares))
        pairs = ops.logical_and(present[:, None], present)
        gramian = ops.where(pairs, gramian, ops.zeros_like(gramian))
        values, converged = self.solve(gramian, present)
        values = ops.cast(values, "float32")
        values = ops.where(present, values, ops.zeros_like(values))
        return Coefficients(values, ops.cast(converged, "bool"))


def count(present: Tensor) -> Tensor:
    """Returns how many rows are combined, at least 1: float32 scalar."""
    return ops.maximum(ops.sum(ops.cast(present, "float32")), 1.0)


def nan_unless_finite(rows: Rows) -> Tensor:
    """Returns 1 where all rows are finite, else NaN: float32 scalar.

    An update times this lets a loss-scaling optimizer see an overflow, even
    where the method would have left the row out.
    """
    is_finite = ops.all(ops.isfinite(rows.gramian))
    return ops.where(is_finite, 1.0, float("nan"))
