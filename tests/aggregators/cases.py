"""A table of what the tests of aggregators run over: one row per method.

A new method is one row here; `properties.py` holds what is asked of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras_selfaux import aggregators


class AggregatorCase(NamedTuple):
    """An aggregator.

    Attributes:
        make: Makes the aggregator; takes its arguments.
        names: What `aggregators.get` knows it by, if anything; its own name
            first.
        identical: What K equal rows give in the first step, as a multiple
            of K times the row; `None` if that depends on the row.
        draws: What it draws at random, if anything: `"orders"` of tasks, or
            the sign of `"entries"`, whatever the order of tasks.
        has_memory: Whether earlier steps count.
    """

    make: Callable[..., aggregators.Aggregator]
    names: tuple[str, ...] = ()
    identical: float | None = 1.0
    draws: str | None = None
    has_memory: bool = False


def _with(cls: Any, **settings: Any) -> Callable[..., aggregators.Aggregator]:
    return lambda **kwargs: cls(**{**settings, **kwargs})


AGGREGATORS: dict[str, AggregatorCase] = {
    "pcgrad": AggregatorCase(
        _with(aggregators.PCGrad, seed=7),
        ("pcgrad", "pc_grad"),
        draws="orders",
    ),
    "gradvac": AggregatorCase(
        _with(aggregators.GradVac, seed=7, beta=0.5),
        ("gradvac", "grad_vac"),
        draws="orders",
        has_memory=True,
    ),
    "cagrad": AggregatorCase(
        aggregators.CAGrad, ("cagrad", "ca_grad"), identical=1.4 / 1.16
    ),
    "mgda": AggregatorCase(aggregators.MGDA, ("mgda",)),
    "impartial_gradient": AggregatorCase(
        aggregators.ImpartialGradient, ("impartial_gradient", "imtl_g")
    ),
    "nash_mtl": AggregatorCase(aggregators.NashMTL, ("nash_mtl", "nash")),
    "nash_mtl_authors": AggregatorCase(
        _with(aggregators.NashMTL, scale="authors"), identical=None
    ),
    "aligned_mtl": AggregatorCase(aggregators.AlignedMTL, ("aligned_mtl",)),
    "fair_grad": AggregatorCase(
        _with(aggregators.FairGrad, alpha=2.0), ("fair_grad", "fairgrad")
    ),
    "upgrad": AggregatorCase(aggregators.UPGrad, ("upgrad", "up_grad")),
    "dual_projection": AggregatorCase(
        aggregators.DualProjection, ("dual_projection", "dual_proj")
    ),
    "config": AggregatorCase(aggregators.ConFIG, ("config", "con_fig")),
    # With a single neighbour the two nearest rows would have equal scores.
    "krum": AggregatorCase(_with(aggregators.Krum, num_byzantine=0), ("krum",)),
    "grad_drop": AggregatorCase(
        _with(aggregators.GradDrop, seed=7),
        ("grad_drop", "graddrop"),
        draws="entries",
    ),
    "grad_drop_leaky": AggregatorCase(
        _with(aggregators.GradDrop, seed=7, leak=0.25), draws="entries"
    ),
    "trimmed_mean": AggregatorCase(aggregators.TrimmedMean, ("trimmed_mean",)),
    "db_mtl": AggregatorCase(
        _with(aggregators.DBMTL, sigma=0.5), ("db_mtl",), has_memory=True
    ),
    "moco": AggregatorCase(
        _with(aggregators.MoCo, rho=0.1), ("moco",), has_memory=True
    ),
}
