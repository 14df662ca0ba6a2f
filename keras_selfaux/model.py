"""`SelfAuxModel`: a multi-task model whose tasks teach in one direction."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._files import naming_weights
from keras_selfaux._inference import inference_model
from keras_selfaux._random import load_seeds
from keras_selfaux._registry import naming_config, register
from keras_selfaux._rematerialization import (
    plain_call,
    support_rematerialization,
)
from keras_selfaux._stacking import NamedNodes
from keras_selfaux._stacking._layer_stack import call_layer
from keras_selfaux._stacking._template import symbolic_input
from keras_selfaux._summary import summary_lines
from keras_selfaux._trainer import MultiTaskTrainer
from keras_selfaux._types import Edge, Layer, Task, Tensor
from keras_selfaux.distribution import check_outside_of_scope, is_chief
from keras_selfaux.graph import TransferGraph, as_graph
from keras_selfaux.layers import BranchedEncoder, HeadBank
from keras_selfaux.layers._head_bank import check_heads


@register
class SelfAuxModel(MultiTaskTrainer):
    """A multi-task model with self-auxiliaries.

    A self-auxiliary `source -> target` is a clone of the source's head on
    the target's branch, trained on the source's labels. Its loss reaches
    the target's branch, never the source's: the source teaches the target,
    and the target cannot disturb the source. Predictions, evaluation and
    exports know nothing of the clones. A subclass that overrides
    `compute_loss` or `compute_metrics` changes what these methods return,
    not how the model is trained and evaluated: that is `train_step`.

    Reference: Graffeuille, Koh, Wicker, Lehmann, 2024 (arXiv 2410.15875),
    Eqs. 1-4.

    Args:
        encoder: A Keras model or layer that maps the inputs to
            `{task: features}`; often a `layers.BranchedEncoder`.
        heads: `{task: layer}`: templates of the heads, which are copied.
        auxiliaries: Which clones to train with: `"all"`, `"none"`, a
            `TransferGraph`, or an iterable of `(source, target)` edges.
            Defaults to `"all"`.
        stack: Whether equal heads run as one batched product where
            possible. Defaults to `True`.

    Call arguments:
        inputs: Whatever the encoder takes.
        training: Whether dropout and the like are active.

    Returns:
        `{task: prediction}` of the primaries.

    Raises:
        ValueError: If the tasks of encoder, heads and auxiliaries differ,
            or if a clone does not fit its target's features.

    Example:

    >>> inputs = keras.Input((8,))
    >>> trunk = keras.layers.Dense(16, "relu")(inputs)
    >>> encoder = keras.Model(
    ...     inputs,
    ...     {
    ...         "seg": keras.layers.Dense(16, "relu")(trunk),
    ...         "depth": keras.layers.Dense(16, "relu")(trunk),
    ...     },
    ... )
    >>> model = keras_selfaux.SelfAuxModel(
    ...     encoder,
    ...     {"seg": keras.layers.Dense(3), "depth": keras.layers.Dense(1)},
    ...     auxiliaries=[("seg", "depth")],
    ... )
    >>> model.compile("adam", loss="mse", weighting="equal")
    """

    def __init__(
        self,
        encoder: Layer,
        heads: Mapping[Task, Layer],
        auxiliaries: str | TransferGraph | Iterable[Edge] = "all",
        *,
        stack: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(encoder, keras.layers.Layer):
            raise error(
                "`encoder` must be a Keras layer or model.",
                received=f"encoder={encoder!r}",
                remedy="Pass a model with a dict output, or a "
                "`layers.BranchedEncoder`.",
            )
        # Recomputing all of a network would save nothing.
        support_rematerialization(encoder, itself=False)
        self.encoder = encoder
        check_heads(heads)
        graph = as_graph(auxiliaries, list(heads))
        self.head_bank = HeadBank(heads, graph, stack=stack, name="heads")
        self.inputs_shape: Any = None
        self.output_names = list(graph.tasks)
        if isinstance(encoder, BranchedEncoder):
            encoder.bind(graph.tasks)
        elif hasattr(encoder, "operations") and encoder.built:
            # A functional encoder is known already: fail early, if at all.
            self.build(encoder.input_shape)

    # Structure.

    @property
    def transfer_graph(self) -> TransferGraph:
        """The tasks and the edges that are trained."""
        graph: TransferGraph = self.head_bank.graph
        return graph

    @property
    def task_weights(self) -> dict[Edge, float]:
        """The weight ω of every edge and, under `(t, t)`, every primary.

        Where a weighting sets ω anew at every step, by its losses or by
        chance, these are the last ones applied; else those that the next
        step will apply.
        """
        self._assert_compile_called("task_weights")
        edges = self.weighting.edges
        weights = self.weighting.current_weights()
        return dict(
            zip(edges, ops.convert_to_numpy(weights).tolist(), strict=True)
        )

    def build(self, input_shape: Any) -> None:
        """Creates the weights of encoder, heads and clones."""
        if self.head_bank.built:
            return
        self.inputs_shape = input_shape
        features = call_layer(self.encoder, symbolic_input(input_shape), None)
        if not isinstance(features, dict):
            raise error(
                "`encoder` must return a dict {task: features}.",
                received=f"{type(features).__name__}",
                remedy="Give a functional encoder a dict of outputs.",
            )
        check_same_tasks("encoder", features, self.transfer_graph.tasks)
        self.head_bank.build({t: tuple(f.shape) for t, f in features.items()})

    def call(
        self, inputs: Any, training: bool | None = None
    ) -> dict[Task, Tensor]:
        """Returns `{task: prediction}`."""
        features = self.features(inputs, training)
        outputs = self.head_bank.primaries(features, training)
        predictions: dict[Task, Tensor] = self.head_bank.by_task(outputs)
        return predictions

    def features(self, inputs: Any, training: bool | None = None) -> NamedNodes:
        """Returns the encoder's features, in the form that heads read."""
        if isinstance(self.encoder, BranchedEncoder):
            return self.encoder.features(inputs, training)
        return NamedNodes.from_dict(call_layer(self.encoder, inputs, training))

    rematerialized_call = staticmethod(plain_call)

    def symbolic_inputs(self) -> Any:
        """Returns `keras.Input`s for what the model was built for."""
        return symbolic_input(self.inputs_shape)

    @property
    def sample_size(self) -> int:
        """The number of entries of one sample's inputs, as far as known."""
        shapes = [
            leaf.shape for leaf in keras.tree.flatten(self.symbolic_inputs())
        ]
        return sum(math.prod(size or 1 for size in s) for s in shapes)

    # Inference, saving, export.

    @property
    def inference_model(self) -> keras.Model:
        """A functional Keras model of the primaries alone.

        It has a snapshot of the weights and consists of ordinary Keras
        layers; training this model later leaves it as it is.

        Raises:
            ValueError: If the model has not been built yet.
        """
        if not self.head_bank.built:
            raise error(
                "A model without weights has no inference model.",
                received="a model that was never called on data",
                remedy="Call, fit or build the model first.",
            )
        return inference_model(
            self.encoder, self.head_bank, self.inputs_shape, self.name
        )

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        **kwargs: Any,
    ) -> None:
        """Exports the primaries; clones are left out.

        Of several workers the chief exports; others do nothing.

        Args:
            filepath: Where to write. Nothing is ever overwritten.
            format: As for `keras.Model.export`: `"tf_saved_model"`,
                `"onnx"`, `"litert"`, ... Defaults to `"tf_saved_model"`.
            **kwargs: Further arguments of `keras.Model.export`.

        Raises:
            FileExistsError: If `filepath` exists already.
            ValueError: Within the scope of a strategy.
        """
        check_outside_of_scope()
        if not is_chief(self.distribute_strategy):
            return
        if os.path.exists(filepath):
            raise FileExistsError(
                f"{os.fspath(filepath)!r} exists already, and exports are "
                "never overwritten. Export to a new path, such as the next "
                "version number."
            )
        self.inference_model.export(filepath, format=format, **kwargs)

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints Keras's summary, then what training adds and export drops."""
        super().summary(*args, **kwargs)
        print_line = kwargs.get("print_fn") or print
        for line in summary_lines(self):
            print_line(line)

    def __dir__(self) -> list[str]:
        """Leaves `inference_model` out, which Keras would save as well."""
        return [n for n in super().__dir__() if n != "inference_model"]

    def save_own_variables(self, store: Any) -> None:
        """Saves the states of random generators, which Keras leaves out."""
        super().save_own_variables(store)
        for number, state in enumerate(self._seed_states()):
            store[f"seed_{number}"] = state

    def load_own_variables(self, store: Any) -> None:
        """Brings back what `save_own_variables` saved."""
        load_seeds(self.name, self._seed_states(), store)

    def load_weights(
        self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Loads what `save_weights` saved, as `keras.Model` does.

        Raises:
            ValueError: If the file is damaged, or of another model. Some
                weights may have been loaded by then.
            FileNotFoundError: If there is no such file.
        """
        with naming_weights(filepath):
            super().load_weights(filepath, *args, **kwargs)

    def _seed_states(self) -> list[Any]:
        weights = {id(weight) for weight in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def get_config(self) -> dict[str, Any]:
        """Returns the config, with encoder, heads and graph serialised."""
        bank = self.head_bank.get_config()
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "heads": bank["heads"],
            "auxiliaries": bank["graph"]["edges"],
            "stack": bank["stack"],
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "SelfAuxModel":
        """Returns the model that `get_config` described."""
        load = keras.saving.deserialize_keras_object
        with naming_config(cls, config):
            heads = config["heads"].items()
            heads = {task: load(head, custom_objects) for task, head in heads}
            encoder = load(config["encoder"], custom_objects)
            return cls(**{**config, "encoder": encoder, "heads": heads})
