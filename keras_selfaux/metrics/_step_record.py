"""Which steps met numbers that are not finite, as one small vector.

A step adds itself to the vector without leaving the device, so that a
message names the very step however many are taken at once.
"""

import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from keras import ops

from keras_selfaux._types import Tensor

# What a training step watches beside the losses of primaries and clones. What
# comes first may spoil what comes later.
REGULARIZATION = "regularization losses"
WEIGHTS = "task weights"
OBJECTIVE = "weighted losses"
GRADIENTS = "gradients"
META_LOSSES = "losses of the meta batch"
HYPERGRADIENTS = "gradients of the task weights"
WATCHED = (
    REGULARIZATION,
    WEIGHTS,
    OBJECTIVE,
    GRADIENTS,
    META_LOSSES,
    HYPERGRADIENTS,
)

# In the vector: steps, those with such numbers, their latest and their
# longest run; then the first step without such numbers, and the first step
# of every number watched, counted from 1, 0 for none.
_TOTALS = 4
_HEAD = _TOTALS + 1


class StepRecord(NamedTuple):
    """What is known of some steps in a row.

    A step is bad if a number that is watched was not finite in it.

    Attributes:
        steps: How many steps there were.
        bad: How many of them were bad.
        leading: How many bad steps there were before the first good one.
        trailing: How many there were after the last good one.
        longest: How many there were in a row at most.
        firsts: `{watched: step}`, the first step in which a number was not
            finite, counted from 0.
    """

    steps: int = 0
    bad: int = 0
    leading: int = 0
    trailing: int = 0
    longest: int = 0
    firsts: Mapping[Any, int] = types.MappingProxyType({})

    @classmethod
    def of_bad_steps(cls, count: int) -> "StepRecord":
        """Returns the record of bad steps of which nothing else is known."""
        return cls(count, count, count, count, count)

    def followed_by(self, other: "StepRecord") -> "StepRecord":
        """Returns the record of these steps and those after them."""
        later = {k: self.steps + step for k, step in other.firsts.items()}
        is_bad, stays_bad = self.bad == self.steps, other.bad == other.steps
        return StepRecord(
            self.steps + other.steps,
            self.bad + other.bad,
            self.steps + other.leading if is_bad else self.leading,
            self.trailing + other.steps if stays_bad else other.trailing,
            max(self.longest, other.longest, self.trailing + other.leading),
            {**later, **self.firsts},
        )


def size(watched: int) -> int:
    """Returns the length of the vector that watches so many numbers."""
    return _HEAD + watched


def advanced(record: Tensor, finite: Tensor) -> Tensor:
    """Returns the vector after one more step.

    Args:
        record: Tensor of shape `(size(w),)`, int64; zeros before any step.
        finite: Tensor of shape `(w,)`, bool: which numbers were finite.
    """
    is_good = ops.all(finite)
    is_bad = ops.cast(ops.logical_not(is_good), record.dtype)
    steps, bad, trailing, longest = ops.unstack(record[:_TOTALS], _TOTALS)
    steps, trailing = steps + 1, (trailing + 1) * is_bad
    totals = [steps, bad + is_bad, trailing, ops.maximum(longest, trailing)]
    happened = ops.concatenate([is_good[None], ops.logical_not(finite)])
    firsts = record[_TOTALS:]
    is_first = ops.logical_and(happened, ops.equal(firsts, 0))
    return ops.concatenate(
        [ops.stack(totals), ops.where(is_first, steps, firsts)]
    )


def read(record: Any, watched: Any) -> StepRecord:
    """Returns what a vector says.

    Args:
        record: Variable or array of shape `(size(w),)`.
        watched: Names of the w numbers.
    """
    # NumPy warns of Keras's variables.
    values = ops.convert_to_numpy(ops.convert_to_tensor(record))
    numbers = values.tolist()
    steps, bad, trailing, longest, first_good = numbers[:_HEAD]
    if not bad:
        return StepRecord(steps)
    leading = first_good - 1 if first_good else steps
    firsts = {
        name: first - 1
        for name, first in zip(watched, numbers[_HEAD:], strict=True)
        if first
    }
    return StepRecord(steps, bad, leading, trailing, longest, firsts)
