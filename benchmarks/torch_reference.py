"""Self-auxiliaries in plain PyTorch: what `keras_selfaux` is timed against.

Multi-task regression as it is usually written: one module per clone, a Python
loop over the clones, and Auto-Lambda with a two-sided finite difference.
Nothing is stacked or compiled, and no work is added or repeated beyond what
the method itself asks for.

    python torch_reference.py --weighting=equal --num_steps=50
    python torch_reference.py --check
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch_auto_lambda
from absl import app, flags
from torch import Tensor, nn
from torch.nn import functional

NUM_INPUTS = 2
NUM_OUTPUTS = 3
NUM_UNITS = 32
NUM_ROUNDS = 5
NUM_BATCHES = 8


class Targets(NamedTuple):
    """Labels of one batch without NaN, and what each counts in the loss."""

    labels: Sequence[Tensor]  # Per task: [batch, outputs], 0 where missing.
    weights: Sequence[Tensor]  # Per task: [batch, 1], 0 where missing.


class Network(torch_auto_lambda.Network):
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
        yield from self.trunk.parameters()
        yield from self.branches.parameters()
        for task in range(self.num_tasks):
            yield from self.heads[task * self.num_tasks + task].parameters()

    def forward(self, x: Tensor, targets: Targets, edges: bool) -> Tensor:
        """Returns the losses in the order of (target, source).

        They are [tasks * tasks], or those of the primaries alone, [tasks].
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


class TorchReference(torch_auto_lambda.Trainer):
    """Trains the network one step at a time.

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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(num_tasks).to(dtype)
        super().__init__(
            network,
            torch.optim.Adam(network.parameters(), lr=learning_rate),
            num_tasks**2,
            weighting,
            weight_learning_rate=weight_learning_rate,
            initial_weight=initial_weight,
        )
        self.num_tasks = num_tasks

    def prepare(self, y: Tensor) -> Targets:
        """Masks the labels, [tasks, batch, outputs], NaN where missing."""
        return mask_missing(y)

    def train_step(
        self, x: Tensor, y: Tensor, meta_x: Tensor, meta_y: Tensor
    ) -> Tensor:
        """Trains on one batch; returns the losses [target, source]."""
        losses = super().train_step(x, y, meta_x, meta_y)
        return losses.reshape(self.num_tasks, -1)

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
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        seconds = torch_auto_lambda.time_steps(
            reference, batches, rounds=NUM_ROUNDS, steps=num_steps
        )
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
    } | torch_auto_lambda.spread("ms_per_step", [1000 * s for s in seconds])


def check(
    num_tasks: int = 3, batch_size: int = 12, seed: int = 0
) -> dict[str, float]:
    """Compares the hypergradient with automatic differentiation.

    Args:
        num_tasks: Number of tasks.
        batch_size: Number of samples in a batch.
        seed: Seed of the parameters and the data.

    Returns:
        The relative errors at the perturbation used in training, which is
        some 0.3 % and more than 1 % now and then, and at a tiny one.

    Raises:
        ValueError: If the latter exceeds 1e-4.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float64
    x, y = make_batch(num_tasks, batch_size, generator, dtype)
    meta_x, meta_y = make_batch(num_tasks, batch_size, generator, dtype)
    tiny, usual = torch_auto_lambda.relative_errors(
        TorchReference(num_tasks, seed=seed, dtype=dtype),
        x,
        mask_missing(y),
        meta_x,
        mask_missing(meta_y),
        perturbations=(1e-7, 0.01),
    )
    return {"relative_error": usual, "relative_error_small_perturbation": tiny}


def define_flags() -> None:
    """Defines the script's flags; importing the module defines none."""
    flags.DEFINE_integer("num_steps", 20, "Steps in each round.")
    flags.DEFINE_integer("batch_size", 50, "Samples in a batch, all tasks.")
    flags.DEFINE_integer("num_tasks", 10, "Number of tasks.")
    flags.DEFINE_integer("threads", 1, "Threads that one operation may use.")
    flags.DEFINE_integer("seed", 0, "Seed of the parameters and the data.")
    torch_auto_lambda.define_flags()


def main(argv: Sequence[str]) -> None:
    """Prints one line of JSON."""
    values = flags.FLAGS
    torch_auto_lambda.print_result(
        argv,
        lambda: check(seed=values.seed),
        lambda: measure(
            values.num_steps,
            values.batch_size,
            values.num_tasks,
            weighting=values.weighting,
            threads=values.threads,
            seed=values.seed,
        ),
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
