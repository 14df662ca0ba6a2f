"""Self-auxiliaries in plain PyTorch: what `keras_selfaux` is timed against.

Multi-task regression as it is usually written: one module per clone, a Python
loop over the clones, and Auto-Lambda with a two-sided finite difference.
Nothing is stacked or compiled, and no work is added or repeated beyond what
the method itself asks for.

    python torch_reference.py --weighting=equal --num_steps=50
    python torch_reference.py --check
"""

import copy
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from absl import app, flags
from torch import Tensor, nn
from torch.nn import functional

NUM_INPUTS = 2
NUM_OUTPUTS = 3
NUM_UNITS = 32
NUM_ROUNDS = 5
NUM_BATCHES = 8
WEIGHTINGS = ("auto_lambda", "equal")


class Targets(NamedTuple):
    """Labels of one batch without NaN, and what each counts in the loss."""

    labels: Sequence[Tensor]  # Per task: [batch, outputs], 0 where missing.
    weights: Sequence[Tensor]  # Per task: [batch, 1], 0 where missing.


class Network(nn.Module):
    """A shared trunk, a branch per task, and a head per (target, source).

    `heads[t * num_tasks + s]` is the clone of task s's head on the branch of
    task t, and task t's primary head where s = t.

    Args:
        num_tasks: Number of tasks.
    """

    def __init__(self, num_tasks: int) -> None:
        """Creates the layers."""
        super().__init__()
        self.num_tasks = num_tasks
        self.trunk = nn.Sequential(
            nn.Linear(NUM_INPUTS, NUM_UNITS),
            nn.ReLU(),
            nn.Linear(NUM_UNITS, NUM_UNITS),
            nn.ReLU(),
        )
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(NUM_UNITS, NUM_UNITS), nn.ReLU())
            for _ in range(num_tasks)
        )
        self.heads = nn.ModuleList(
            nn.Linear(NUM_UNITS, NUM_OUTPUTS) for _ in range(num_tasks**2)
        )

    def primary_parameters(self) -> Iterator[nn.Parameter]:
        """Yields the parameters that the primary predictions depend on."""
        yield from self.trunk.parameters()
        yield from self.branches.parameters()
        for task in range(self.num_tasks):
            yield from self.heads[task * self.num_tasks + task].parameters()

    def forward(self, x: Tensor, targets: Targets, edges: bool) -> Tensor:
        """Returns the unweighted losses.

        Args:
            x: Inputs, [batch, inputs].
            targets: The batch's labels.
            edges: Whether to compute the clones' losses too.

        Returns:
            Losses in the order of (target, source), [tasks * tasks], or of
            the primaries alone, [tasks].
        """
        losses = []
        shared = self.trunk(x)
        for target, branch in enumerate(self.branches):
            features = branch(shared)
            for source in range(self.num_tasks) if edges else (target,):
                head = self.heads[target * self.num_tasks + source]
                errors = functional.mse_loss(
                    head(features), targets.labels[source], reduction="none"
                )
                losses.append((errors * targets.weights[source]).sum())
        return torch.stack(losses)


class TorchReference:
    """Trains the network one step at a time.

    Each step of Auto-Lambda takes four forward passes of all heads, one of
    the primaries, and three backward passes.

    Args:
        num_tasks: Number of tasks; every ordered pair of them has a clone.
        weighting: `"auto_lambda"` or `"equal"` (every weight is 1).
        seed: Seed of the initial parameters.
        learning_rate: Learning rate of Adam on the parameters, and of the
            virtual step.
        weight_learning_rate: Learning rate of Adam on the weights.
        initial_weight: Where Auto-Lambda's weights start.
        dtype: Dtype of parameters and weights.
    """

    def __init__(
        self,
        num_tasks: int = 10,
        weighting: str = "auto_lambda",
        *,
        seed: int = 0,
        learning_rate: float = 1e-3,
        weight_learning_rate: float = 1e-4,
        initial_weight: float = 0.1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Creates the network, the weights and their optimizers."""
        if weighting not in WEIGHTINGS:
            raise ValueError(
                f"`weighting` must be one of {WEIGHTINGS}. "
                f"Received: weighting={weighting!r}. Pass one of these names."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Network(num_tasks).to(dtype)
        self.weighting = weighting
        self.learning_rate = learning_rate
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=learning_rate
        )
        # Auto-Lambda's state: the weights and the virtual step's parameters.
        self.weights = torch.full((num_tasks**2,), initial_weight, dtype=dtype)
        self.weight_optimizer = torch.optim.Adam(
            [self.weights], lr=weight_learning_rate
        )
        self.virtual = copy.deepcopy(self.network)

    def train_step(
        self, x: Tensor, y: Tensor, meta_x: Tensor, meta_y: Tensor
    ) -> Tensor:
        """Trains on one batch.

        Args:
            x: Inputs, [batch, inputs].
            y: Labels, [tasks, batch, outputs], NaN where missing.
            meta_x: Inputs of the held-out batch; unused with equal weights.
            meta_y: Labels of the held-out batch.

        Returns:
            The unweighted losses [target, source] before the update.
        """
        targets = mask_missing(y)
        if self.weighting == "auto_lambda":
            meta_targets = mask_missing(meta_y)
            self.weights.grad = self.hypergradient(
                x, targets, meta_x, meta_targets
            )
            self.weight_optimizer.step()
            self.weights.clamp_(min=0.0)
        self.optimizer.zero_grad()
        losses = self.network(x, targets, edges=True)
        if self.weighting == "auto_lambda":
            total = losses @ self.weights
        else:
            total = losses.sum()
        total.backward()
        self.optimizer.step()
        before: Tensor = losses.detach()
        return before.reshape(self.network.num_tasks, -1)

    def hypergradient(
        self,
        x: Tensor,
        targets: Targets,
        meta_x: Tensor,
        meta_targets: Targets,
        *,
        perturbation: float = 0.01,
    ) -> Tensor:
        """Returns the meta loss's gradient in the weights, by differences.

        The meta loss sees the parameters of the primaries only, so the
        virtual step and the perturbations leave the clones as they are.

        Args:
            x: Inputs of the training batch.
            targets: Labels of the training batch.
            meta_x: Inputs of the held-out batch.
            meta_targets: Labels of the held-out batch.
            perturbation: Norm of the parameters' perturbation.

        Returns:
            The gradient, [tasks * tasks].
        """
        parameters = list(self.network.primary_parameters())
        virtual = list(self.virtual.primary_parameters())

        losses = self.network(x, targets, edges=True)
        gradients = torch.autograd.grad(losses @ self.weights, parameters)
        with torch.no_grad():
            for new, old, gradient in zip(
                virtual, parameters, gradients, strict=True
            ):
                torch.sub(old, gradient, alpha=self.learning_rate, out=new)

        meta_losses = self.virtual(meta_x, meta_targets, edges=False)
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
                shifted.append(self.network(x, targets, edges=True))
            for parameter, original in zip(parameters, originals, strict=True):
                parameter.copy_(original)
        above, below = shifted
        return (below - above) * (self.learning_rate / (2 * epsilon))

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Loads parameters under the names of `network.state_dict()`."""
        self.network.load_state_dict(state)


def mask_missing(y: Tensor) -> Targets:
    """Turns labels with NaN into labels and weights of a masked mean.

    Args:
        y: Labels, [tasks, batch, outputs]; a sample is missing from a task
            where any of its outputs is NaN.

    Returns:
        Labels and weights such that the weighted sum of squared errors is
        the mean over the samples present, and 0 where there are none.
    """
    present = ~y.isnan().any(-1, keepdim=True)  # [tasks, batch, 1]
    counts = present.sum(1, keepdim=True).clamp(min=1)
    weights = present.to(y.dtype) / (counts * y.shape[-1])
    labels = torch.where(present, y, 0.0)
    return Targets(labels.unbind(), weights.unbind())


def make_batch(
    num_tasks: int,
    batch_size: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Draws a batch in which each sample belongs to one task.

    Args:
        num_tasks: Number of tasks.
        batch_size: Number of samples, over all tasks.
        generator: Source of the draws.
        dtype: Dtype of inputs and labels.

    Returns:
        Inputs [batch, inputs] and labels [tasks, batch, outputs], NaN for
        every task but the sample's own.
    """
    x = torch.randn(batch_size, NUM_INPUTS, generator=generator, dtype=dtype)
    labels = torch.randn(
        num_tasks, batch_size, NUM_OUTPUTS, generator=generator, dtype=dtype
    )
    owner = torch.randint(num_tasks, (batch_size,), generator=generator)
    owned = owner == torch.arange(num_tasks)[:, None]  # [tasks, batch]
    return x, torch.where(owned[:, :, None], labels, torch.nan)


def measure(
    num_steps: int = 20,
    batch_size: int = 50,
    num_tasks: int = 10,
    *,
    weighting: str = "auto_lambda",
    threads: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Times training steps.

    Args:
        num_steps: Steps in each round; a round of warm-up steps comes first.
        batch_size: Number of samples in a batch, over all tasks.
        num_tasks: Number of tasks.
        weighting: `"auto_lambda"` or `"equal"`.
        threads: Number of threads that one operation may use.
        seed: Seed of the parameters and the data.

    Returns:
        What was measured: milliseconds per step as the median over the
        rounds, the fastest and slowest round, and the settings.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = [
        make_batch(num_tasks, batch_size, generator)
        + make_batch(num_tasks, batch_size, generator)
        for _ in range(NUM_BATCHES)
    ]
    reference = TorchReference(num_tasks, weighting, seed=seed)

    def milliseconds_per_step() -> float:
        start = time.perf_counter()
        for step in range(num_steps):
            reference.train_step(*batches[step % NUM_BATCHES])
        return 1000 * (time.perf_counter() - start) / num_steps

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        milliseconds_per_step()
        rounds = [milliseconds_per_step() for _ in range(NUM_ROUNDS)]
    finally:
        torch.set_num_threads(threads_before)
    return {
        "implementation": f"torch {torch.__version__}",
        "weighting": weighting,
        "num_tasks": num_tasks,
        "num_clones": num_tasks * (num_tasks - 1),
        "batch_size": batch_size,
        "threads": threads,
        "num_steps": num_steps,
        "num_rounds": NUM_ROUNDS,
        "ms_per_step": statistics.median(rounds),
        "ms_per_step_min": min(rounds),
        "ms_per_step_max": max(rounds),
    }


def check(
    num_tasks: int = 3, batch_size: int = 12, seed: int = 0
) -> dict[str, float]:
    """Compares the hypergradient with automatic differentiation.

    With the perturbation used in training the two differ by some 0.3 %, and
    by more than 1 % now and then, because it carries a few units across the
    kink of their ReLU. So the formula is judged at a small perturbation.

    Args:
        num_tasks: Number of tasks.
        batch_size: Number of samples in a batch.
        seed: Seed of the parameters and the data.

    Returns:
        The norm of the difference relative to the norm of the exact
        hypergradient, in float64, at the two perturbations.

    Raises:
        ValueError: If it exceeds 1e-4 at the small perturbation.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float64
    x, y = make_batch(num_tasks, batch_size, generator, dtype)
    meta_x, meta_y = make_batch(num_tasks, batch_size, generator, dtype)
    batches = (x, mask_missing(y), meta_x, mask_missing(meta_y))
    reference = TorchReference(num_tasks, seed=seed, dtype=dtype)
    exact = exact_hypergradient(reference, *batches)

    def relative_error(perturbation: float) -> float:
        approximate = reference.hypergradient(
            *batches, perturbation=perturbation
        )
        return float((approximate - exact).norm() / exact.norm())

    small = relative_error(1e-5)
    if not small <= 1e-4:
        raise ValueError(
            "The finite difference must agree with automatic differentiation "
            f"to 1e-4. Received: relative error {small:.2e}. "
            "Mend `TorchReference.hypergradient`."
        )
    return {
        "relative_error": relative_error(0.01),
        "relative_error_small_perturbation": small,
    }


def exact_hypergradient(
    reference: TorchReference,
    x: Tensor,
    targets: Targets,
    meta_x: Tensor,
    meta_targets: Targets,
) -> Tensor:
    """Differentiates the meta loss through one virtual step.

    Args:
        reference: Holds the network and the weights.
        x: Inputs of the training batch.
        targets: Labels of the training batch.
        meta_x: Inputs of the held-out batch.
        meta_targets: Labels of the held-out batch.

    Returns:
        The gradient, [tasks * tasks].
    """
    network = reference.network
    weights = reference.weights.clone().requires_grad_()
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(
        network(x, targets, edges=True) @ weights,
        list(parameters.values()),
        create_graph=True,
    )
    stepped = {
        name: parameter - reference.learning_rate * gradient
        for (name, parameter), gradient in zip(
            parameters.items(), gradients, strict=True
        )
    }
    meta_losses = torch.func.functional_call(
        network, stepped, (meta_x, meta_targets, False)
    )
    return torch.autograd.grad(meta_losses.sum(), weights)[0]


def define_flags() -> None:
    """Defines the script's flags; importing the module defines none."""
    flags.DEFINE_integer("num_steps", 20, "Steps in each round.")
    flags.DEFINE_integer("batch_size", 50, "Samples in a batch, all tasks.")
    flags.DEFINE_integer("num_tasks", 10, "Number of tasks.")
    flags.DEFINE_enum("weighting", "auto_lambda", WEIGHTINGS, "The weighting.")
    flags.DEFINE_integer("threads", 1, "Threads that one operation may use.")
    flags.DEFINE_integer("seed", 0, "Seed of the parameters and the data.")
    flags.DEFINE_bool("check", False, "Check the hypergradient instead.")


def main(argv: Sequence[str]) -> None:
    """Prints one line of JSON."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    values = flags.FLAGS
    if values.check:
        result = check(seed=values.seed)
    else:
        result = measure(
            values.num_steps,
            values.batch_size,
            values.num_tasks,
            weighting=values.weighting,
            threads=values.threads,
            seed=values.seed,
        )
    print(json.dumps(result))


if __name__ == "__main__":
    define_flags()
    app.run(main)
