"""Aggregators in PyTorch: TorchJD's, in the network of `torch_reference.py`.

The rows of several tasks' losses are taken on what the tasks share: the
trunk, and with clones the branches, too. All else gets its plain gradient.
"""

from collections.abc import Callable, Iterator

import torch
import torch_reference
from torch import Tensor, nn
from torchjd import aggregation, autojac

# Where TorchJD asks for an argument, ours has this default.
AGGREGATORS: dict[str, Callable[[int], aggregation.Aggregator]] = {
    "aligned_mtl": lambda _: aggregation.AlignedMTL(),
    "cagrad": lambda _: aggregation.CAGrad(c=0.4),
    "config": lambda _: aggregation.ConFIG(),
    "dual_projection": lambda _: aggregation.DualProj(),
    "fair_grad": lambda _: aggregation.FairGrad(alpha=1.0),
    "grad_drop": lambda _: aggregation.GradDrop(),
    "gradvac": lambda _: aggregation.GradVac(beta=0.01),
    "impartial_gradient": lambda _: aggregation.IMTLG(),
    # It wants three rows more than may be wrong.
    "krum": lambda n: aggregation.Krum(n_byzantine=min(1, n - 3)),
    "mgda": lambda _: aggregation.MGDA(),
    "nash_mtl": lambda n: aggregation.NashMTL(n_tasks=n),
    "pcgrad": lambda _: aggregation.PCGrad(),
    "trimmed_mean": lambda _: aggregation.TrimmedMean(trim_number=1),
    "upgrad": lambda _: aggregation.UPGrad(),
}


class TorchAggregation:
    """Trains a network with an aggregator, one step at a time.

    Args:
        num_tasks: Number of tasks.
        aggregator: One of `AGGREGATORS`, or `None` for the sum.
        clones: Whether every ordered pair of tasks has a clone.
    """

    def __init__(
        self, num_tasks: int, aggregator: str | None, *, clones: bool
    ) -> None:
        """Creates the network and its optimizer."""
        self.num_tasks, self.clones = num_tasks, clones
        self.network = torch_reference.Network(num_tasks)
        self.aggregator = aggregator and AGGREGATORS[aggregator](num_tasks)
        self.shared = list(self.network.trunk.parameters())
        if clones:
            self.shared += self.network.branches.parameters()
        known = {id(parameter) for parameter in self.shared}
        self.others = [p for p in self._trained() if id(p) not in known]
        self.optimizer = torch.optim.Adam([*self.shared, *self.others], lr=1e-3)

    def _trained(self) -> Iterator[nn.Parameter]:
        if self.clones:
            return self.network.parameters()
        return self.network.primary_parameters()

    def train_step(self, x: Tensor, y: Tensor) -> None:
        """Trains on one batch."""
        targets = torch_reference.mask_missing(y)
        self.optimizer.zero_grad()
        losses = self.network(x, targets, edges=self.clones)
        if self.clones:  # over the targets, for every source
            losses = losses.reshape(self.num_tasks, self.num_tasks).sum(0)
        if self.aggregator is None:
            losses.sum().backward()
        else:
            losses.sum().backward(inputs=self.others, retain_graph=True)
            autojac.backward(list(losses), inputs=self.shared)
            autojac.jac_to_grad(self.shared, self.aggregator)
        self.optimizer.step()
