"""Auto-Lambda in plain PyTorch: what the two references have in common.

A reference says what its network, data and losses are. Here is how they
train, with a two-sided finite difference as in the paper, how their steps are
timed, and how the finite difference is checked.
"""

import copy
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import measuring
import torch
from absl import app, flags
from torch import Tensor, nn

WEIGHTINGS = ("auto_lambda", "equal")

# A flag that is defined here counts as one of the script that asks for it.
flags.disclaim_key_flags()


class Network(nn.Module):
    """A network with a primary head per task and clones of these heads."""

    def primary_parameters(self) -> Iterator[nn.Parameter]:
        """Yields the parameters that the primary predictions depend on."""
        raise NotImplementedError

    def forward(self, x: Tensor, labels: Any, edges: bool) -> Tensor:
        """Returns the unweighted losses, [losses].

        Args:
            x: Inputs, [batch, ...].
            labels: The batch's labels, as `Trainer.prepare` returns them.
            edges: Whether to compute the clones' losses too.
        """
        raise NotImplementedError


class Trainer:
    """Trains a network one step at a time.

    Each step of Auto-Lambda takes four forward passes of all heads, one of
    the primaries, and three backward passes.

    Args:
        network: The network.
        optimizer: Of its parameters. Its learning rate is that of the
            virtual step, too.
        num_losses: How many losses the network has with all clones.
        weighting: `"auto_lambda"` or `"equal"` (every weight is 1).
        weight_learning_rate: Learning rate of Adam on the weights.
        initial_weight: Where Auto-Lambda's weights start.
    """

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        num_losses: int,
        weighting: str,
        *,
        weight_learning_rate: float,
        initial_weight: float,
    ) -> None:
        """Creates the weights, their optimizer and a network to move."""
        if weighting not in WEIGHTINGS:
            raise ValueError(
                f"`weighting` must be one of {WEIGHTINGS}. "
                f"Received: weighting={weighting!r}. Pass one of these names."
            )
        self.network = network
        self.optimizer = optimizer
        self.weighting = weighting
        self.learning_rate: float = optimizer.defaults["lr"]
        dtype = next(network.parameters()).dtype
        self.weights = torch.full((num_losses,), initial_weight, dtype=dtype)
        self.weight_optimizer = torch.optim.Adam(
            [self.weights], lr=weight_learning_rate
        )
        if weighting == "auto_lambda":
            self.virtual = copy.deepcopy(network)

    def prepare(self, y: Any) -> Any:
        """Returns labels as the network takes them, once for all passes."""
        return y

    def train_step(
        self, x: Tensor, y: Any, meta_x: Tensor, meta_y: Any
    ) -> Tensor:
        """Trains on one batch.

        Args:
            x: Inputs.
            y: Labels.
            meta_x: Inputs of the held-out batch; unused with equal weights.
            meta_y: Labels of the held-out batch.

        Returns:
            The unweighted losses before the update.
        """
        labels = self.prepare(y)
        if self.weighting == "auto_lambda":
            self.weights.grad = self.hypergradient(
                x, labels, meta_x, self.prepare(meta_y)
            )
            self.weight_optimizer.step()
            self.weights.clamp_(min=0.0)
        self.optimizer.zero_grad()
        losses = self.network(x, labels, edges=True)
        if self.weighting == "auto_lambda":
            total = losses @ self.weights
        else:
            total = losses.sum()
        total.backward()
        self.optimizer.step()
        before: Tensor = losses.detach()
        return before

    def hypergradient(
        self,
        x: Tensor,
        labels: Any,
        meta_x: Tensor,
        meta_labels: Any,
        *,
        perturbation: float = 0.01,
    ) -> Tensor:
        """Returns the meta loss's gradient in the weights, by differences.

        The meta loss sees the parameters of the primaries only, so the
        virtual step and the perturbations leave the clones as they are.

        Args:
            x: Inputs of the training batch.
            labels: Labels of the training batch, prepared.
            meta_x: Inputs of the held-out batch.
            meta_labels: Labels of the held-out batch, prepared.
            perturbation: Norm of the parameters' perturbation.

        Returns:
            The gradient, [losses].
        """
        parameters = list(self.network.primary_parameters())
        virtual = list(self.virtual.primary_parameters())

        losses = self.network(x, labels, edges=True)
        gradients = torch.autograd.grad(losses @ self.weights, parameters)
        with torch.no_grad():
            for new, old, gradient in zip(
                virtual, parameters, gradients, strict=True
            ):
                torch.sub(old, gradient, alpha=self.learning_rate, out=new)

        meta_losses = self.virtual(meta_x, meta_labels, edges=False)
        direction = torch.autograd.grad(meta_losses.sum(), virtual)
        norm = float(nn.utils.get_total_norm(direction))
        if norm == 0.0:  # No labels in the held-out batch.
            return torch.zeros_like(self.weights)
        epsilon = perturbation / norm

        with torch.no_grad():
            originals = [parameter.clone() for parameter in parameters]
            shifted: list[Tensor] = []
            for shift in (epsilon, -epsilon):
                for parameter, original, slope in zip(
                    parameters, originals, direction, strict=True
                ):
                    torch.add(original, slope, alpha=shift, out=parameter)
                shifted.append(self.network(x, labels, edges=True))
            for parameter, original in zip(parameters, originals, strict=True):
                parameter.copy_(original)
        above, below = shifted
        return (below - above) * (self.learning_rate / (2 * epsilon))


def exact_hypergradient(
    trainer: Trainer, x: Tensor, labels: Any, meta_x: Tensor, meta_labels: Any
) -> Tensor:
    """Differentiates the meta loss through one virtual step.

    Args:
        trainer: Holds the network and the weights.
        x: Inputs of the training batch.
        labels: Labels of the training batch, prepared.
        meta_x: Inputs of the held-out batch.
        meta_labels: Labels of the held-out batch, prepared.

    Returns:
        The gradient, [losses].
    """
    network = trainer.network
    weights = trainer.weights.clone().requires_grad_()
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(
        network(x, labels, edges=True) @ weights,
        list(parameters.values()),
        create_graph=True,
    )
    stepped = {
        name: parameter - trainer.learning_rate * gradient
        for (name, parameter), gradient in zip(
            parameters.items(), gradients, strict=True
        )
    }
    meta_losses = torch.func.functional_call(
        network, stepped, (meta_x, meta_labels, False)
    )
    return torch.autograd.grad(meta_losses.sum(), weights)[0]


def relative_errors(
    trainer: Trainer, *batches: Any, perturbations: Sequence[float] = (1e-7,)
) -> list[float]:
    """Compares the hypergradient with automatic differentiation.

    The perturbation used in training carries a few units across the kink of
    their ReLU, and even a smaller one may. So the formula is judged at a tiny
    perturbation, in float64.

    Args:
        trainer: Holds the network and the weights.
        *batches: Inputs and prepared labels of a training and of a held-out
            batch.
        perturbations: Norms of the perturbation, the tiny one first.

    Returns:
        For each perturbation the norm of the difference, relative to the
        norm of the exact hypergradient.

    Raises:
        ValueError: If the first exceeds 1e-4.
    """
    exact = exact_hypergradient(trainer, *batches)
    errors = []
    for perturbation in perturbations:
        found = trainer.hypergradient(*batches, perturbation=perturbation)
        errors.append(float((found - exact).norm() / exact.norm()))
    if not errors[0] <= 1e-4:
        raise ValueError(
            "The finite difference must agree with automatic differentiation "
            f"to 1e-4. Received: relative error {errors[0]:.2e}. "
            "Mend `Trainer.hypergradient`."
        )
    return errors


def time_steps(
    trainer: Trainer,
    batches: Sequence[Sequence[Any]],
    *,
    rounds: int,
    steps: int = 1,
) -> list[float]:
    """Returns seconds per step, by round, after a round to warm up.

    Args:
        trainer: What to time.
        batches: Arguments of `train_step`, used in turn.
        rounds: Number of timed rounds.
        steps: Number of steps in each.
    """

    def run() -> None:
        for step in range(steps):
            trainer.train_step(*batches[step % len(batches)])

    wall = measuring.take_turns({"torch": run}, rounds)["torch"].wall
    return [seconds / steps for seconds in wall]


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Returns the median under a name, and the extremes next to it."""
    return {
        name: statistics.median(values),
        f"{name}_min": min(values),
        f"{name}_max": max(values),
    }


def define_flags() -> None:
    """Defines the flags of both scripts; importing a module defines none."""
    flags.DEFINE_enum("weighting", "auto_lambda", WEIGHTINGS, "The weighting.")
    flags.DEFINE_bool("check", False, "Check the hypergradient instead.")


def print_result(
    argv: Sequence[str],
    check: Callable[[], dict[str, float]],
    measure: Callable[[], dict[str, Any]],
) -> None:
    """Checks or measures, as the flags say, and prints one line of JSON."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    print(json.dumps(check() if flags.FLAGS.check else measure()))
