"""What users pass to `compile`, sorted by task."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_selfaux._checks import (
    check_positive,
    check_same_tasks,
    error,
    is_damage,
    shown,
    telling_damage,
)
from keras_selfaux._types import Task
from keras_selfaux.distribution import num_replicas
from keras_selfaux.losses import loss_for_task

_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def losses_by_task(
    loss: Any, tasks: Sequence[Task]
) -> dict[Task, keras.losses.Loss]:
    """Returns a loss per task from one for all or a dict by task."""
    if loss is None:
        raise error(
            "`loss` is missing.",
            received="loss=None",
            remedy=f"Pass one loss for all tasks, or a dict by task {tasks}.",
        )
    if isinstance(loss, (list, tuple)):
        loss = _by_position("loss", loss, tasks)
    if not isinstance(loss, Mapping) or "class_name" in loss:
        loss = dict.fromkeys(tasks, loss)
    check_same_tasks("loss", loss, tasks)
    return {task: loss_for_task(loss[task], task) for task in tasks}


def loss_weights_by_task(
    loss_weights: Any, tasks: Sequence[Task]
) -> dict[Task, float]:
    """Returns a number per task; tasks without one get 1."""
    if loss_weights is None:
        return dict.fromkeys(tasks, 1.0)
    if isinstance(loss_weights, numbers.Real):
        loss_weights = dict.fromkeys(tasks, loss_weights)
    if isinstance(loss_weights, (list, tuple)):
        loss_weights = _by_position("loss_weights", loss_weights, tasks)
    _check_known("loss_weights", loss_weights, tasks)
    weights = {task: loss_weights.get(task, 1.0) for task in tasks}
    for task, weight in weights.items():
        check_positive(f"loss_weights[{task!r}]", weight, zero=True)
    return {task: float(weight) for task, weight in weights.items()}


def metrics_by_task(
    metrics: Any, tasks: Sequence[Task]
) -> dict[Task, list[Any]]:
    """Returns a list of metrics per task.

    Metrics for all tasks are copied, since each keeps a state.
    """
    is_collection = isinstance(metrics, (list, tuple, Mapping))
    if metrics is None or (is_collection and not metrics):
        return {}
    if isinstance(metrics, Mapping) and "class_name" not in metrics:
        _check_known("metrics", metrics, tasks)
        return {task: _as_list(metrics[task], task) for task in metrics}
    nested = isinstance(metrics, (list, tuple)) and all(
        isinstance(entry, (list, tuple)) for entry in metrics
    )
    if nested:
        by_task = _by_position("metrics", metrics, tasks)
        return {task: _as_list(by_task[task], task) for task in tasks}
    return {
        task: [copied_metric(metric) for metric in _as_list(metrics, task)]
        for task in tasks
    }


def given_metrics(metrics: Any) -> list[keras.metrics.Metric]:
    """Returns the metrics that were given as objects, for a task or for all.

    Their owner may ask them for their result.
    """
    return [
        metric
        for metric in keras.tree.flatten(metrics)
        if isinstance(metric, keras.metrics.Metric)
    ]


def optimizer_of(identifier: Any) -> keras.optimizers.Optimizer:
    """Returns an optimizer from a name, a config dict or an instance.

    Raises:
        ValueError: If Keras knows no such optimizer.
    """
    with telling_damage(
        lambda found: error(
            "`optimizer` must be a Keras optimizer, its name or its config.",
            received=f"optimizer={identifier!r:.200} ({found})",
            remedy='Pass, say, "adam" or `keras.optimizers.Adam(1e-3)`.',
        )
    ):
        return keras.optimizers.get(identifier)


def check_optimizer(optimizer: Any, model: Any) -> None:
    """Raises if an optimizer would mix layers that are stacked.

    Stacked layers are one variable each. Most optimizers treat every entry
    alone and cannot tell; some use the norm or the shape of a variable.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    whole = (
        keras.optimizers.Adafactor,
        keras.optimizers.Lamb,
        keras.optimizers.Muon,
    )
    clips = getattr(inner, "clipnorm", None) is not None
    if not clips and not isinstance(inner, whole):
        return
    layers = model._flatten_layers()
    if any(getattr(layer, "stacked", None) is True for layer in layers):
        raise error(
            "`optimizer` treats each variable as a whole, and stacked layers "
            "are one variable.",
            received="clipnorm" if clips else type(inner).__name__,
            remedy="Pass stack=False to the encoder and the model, or use "
            "global_clipnorm or an optimizer like Adam.",
        )


def loss_scaling(optimizer: Any) -> Any:
    """Returns an optimizer that scales losses: one given that does, as is."""
    kind = keras.optimizers.LossScaleOptimizer
    if optimizer is None or isinstance(optimizer, kind):
        return optimizer
    return kind(optimizer, name="loss_scale_optimizer")


def fresh(rule: Any) -> Any:
    """Returns a weighting or aggregator without any state.

    That is the one given, unless its state belongs to an earlier
    compilation or, under a strategy, may be of another one: then a copy.
    """
    if rule is None or not (rule.built or num_replicas() > 1):
        return rule
    return type(rule).from_config(rule.get_config())


def _by_position(
    name: str, values: Sequence[Any], tasks: Sequence[Task]
) -> dict[Task, Any]:
    if len(values) != len(tasks):
        raise error(
            f"`{name}` must have one entry per task.",
            received=f"{len(values)} entries for {len(tasks)} tasks",
            remedy=f"Pass a dict by task, {list(tasks)}.",
        )
    return dict(zip(tasks, values, strict=True))


def _check_known(name: str, values: Any, tasks: Sequence[Task]) -> None:
    if not isinstance(values, Mapping):
        raise error(
            f"`{name}` must be given for all tasks at once, or by task.",
            received=f"{name}={values!r:.100}",
            remedy=f"Pass a dict with keys from {list(tasks)}.",
        )
    unknown = shown(set(values) - set(tasks))
    if unknown:
        raise error(
            f"`{name}` names tasks that the model does not have.",
            received=f"{unknown}",
            remedy=f"Use the names {list(tasks)}.",
        )


def _as_list(metrics: Any, task: Task) -> list[Any]:
    if metrics is None:
        return []
    entries = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    return [_checked_metric(entry, task) for entry in entries]


def _checked_metric(metric: Any, task: Task) -> Any:
    """Returns a metric, or what Keras will make one of, once shapes are known.

    Raises:
        ValueError: If that is nothing Keras knows.
    """
    if metric is None or isinstance(metric, keras.metrics.Metric):
        return metric
    # Keras finds out what these mean by the shapes of labels.
    if isinstance(metric, str) and metric.lower() in _BY_SHAPE:
        return metric
    try:
        found = keras.metrics.get(metric)
    except Exception as problem:
        if not is_damage(problem):
            raise
        found, why = None, f"{problem}"
    else:
        why = type(found).__name__
    if not callable(found):
        raise error(
            f"A metric of task {task!r} cannot be used: {metric!r:.100}.",
            received=why,
            remedy="Pass a Keras metric, its name or a function.",
        )
    # Keras would take apart the configs of a model with a single output.
    return found if isinstance(metric, Mapping) else metric


def copied_metric(metric: Any) -> Any:
    """Returns a metric without the state of the one given."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    return type(metric).from_config(metric.get_config())
