"""L(θ, n): the vector of all losses as a pure function.

It depends on the weights θ and the non-trainable state n, and moves
neither: a step evaluates it as often as it needs to.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux._batch import Batch
from keras_selfaux._evaluation import regularization, shares_of
from keras_selfaux._objective import EdgeLosses
from keras_selfaux._rematerialization import rematerializing
from keras_selfaux._stacking import NamedNodes
from keras_selfaux._stacking._layer_stack import run_in_training_mode
from keras_selfaux._trunk import Trunk
from keras_selfaux._types import Edge, Task, Tensor


class Evaluation(NamedTuple):
    """What L(θ, n) returns.

    Attributes:
        losses: The losses as fractions, as far as this replica knows them.
        shares: Tensor of shape `(n,)`: what this replica adds to each loss.
        additional: What this replica adds to the regularisation.
        predictions: `{task: prediction}`.
        updates: Pairs of a non-trainable variable and its new value.
        shared_features: What the trunk returned, if it was asked for.
    """

    losses: EdgeLosses
    shares: Tensor
    additional: Tensor
    predictions: dict[Task, Tensor]
    updates: list[tuple[Any, Tensor]]
    shared_features: Tensor | None = None


def evaluate(
    model: Any,
    theta: Sequence[Tensor],
    batch: Batch,
    *,
    clones: bool,
    backward: bool = True,
    trunk: Trunk | None = None,
) -> Evaluation:
    """Evaluates L(θ, n) in training mode, without side effects.

    Args:
        model: The `SelfAuxModel`, built and compiled.
        theta: Values for its trainable variables.
        batch: The data.
        clones: Whether to compute the clones; without, there are the
            primaries' losses alone.
        backward: Whether the gradient is asked for: only then is there
            anything to gain from a `keras.RematScope`. Defaults to `True`.
        trunk: What to run the encoder by, where the features that tasks
            share are asked for.
    """
    count = len(model.transfer_graph.tasks)
    edges = model.weighting.edges if clones else model.weighting.edges[:count]

    def forward(x: Any) -> tuple[Any, ...]:
        if trunk is None:
            features, shared = model.features(x, training=True), None
        else:
            features, shared = trunk(x, training=True)
        found = _losses_of(model, features, batch, edges, clones=clones)
        return (*found, shared)

    mapping = list(zip(model.trainable_variables, theta, strict=True))
    with (
        keras.StatelessScope(mapping, collect_losses=True) as scope,
        rematerializing(backward),
    ):
        predictions, losses, shared = run_in_training_mode(forward, batch.x)
        additional = regularization(model.losses)
    updates = [
        (variable, value)
        for variable in model.non_trainable_variables
        if (value := scope.get_current_value(variable)) is not None
    ]
    shares = shares_of(losses, model.edge_scales[: len(edges)])
    return Evaluation(losses, shares, additional, predictions, updates, shared)


def _losses_of(
    model: Any,
    features: NamedNodes,
    batch: Batch,
    edges: Sequence[Edge],
    *,
    clones: bool,
) -> tuple[dict[Task, Tensor], EdgeLosses]:
    """Returns the primaries' predictions and the losses of the edges."""
    bank, objective, single = model.head_bank, model.objective, batch.single
    by_sample = clones and objective.is_uniform and bank.runs_per_sample
    if by_sample and single is not None:
        # Nothing but metrics asks for these, and mostly nobody does.
        primaries = bank.primaries(features, training=True)
        outputs = bank.per_sample(features, single.task, training=True)
        return bank.by_task(primaries), objective.of_single_tasks(
            outputs, single, edges
        )
    others = []
    if clones:
        primaries, others = bank.all_outputs(features, training=True)
    else:
        primaries = bank.primaries(features, training=True)
    losses = objective(
        [*primaries, *others], batch.y, batch.sample_weight, edges
    )
    return bank.by_task(primaries), losses
