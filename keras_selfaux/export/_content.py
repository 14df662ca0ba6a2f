"""What a SavedModel computes, and what in it no answer needs.

An answer is followed back through the graph to the variables it is computed
from. A head that only training needed would be off all these paths.
"""

import collections
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from keras_selfaux.export._difference import PRECISIONS
from keras_selfaux.export._saved_model import (
    DEFAULT_SIGNATURE,
    signature_definitions,
)

PRODUCTS = {
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchMatMulV3",
    "Conv2D",
    "Conv2DBackpropInput",
    "Conv3D",
    "DepthwiseConv2dNative",
    "Einsum",
    "MatMul",
}
"""What a head costs: operations of which there is at least one in each."""

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_VARIABLES = {"VarHandleOp", "VariableV2"}


class Content(NamedTuple):
    """What is in a SavedModel.

    Attributes:
        parameters: Number of values in variables that answers need.
        operations: How many operations of each type answers of
            `serving_default` need.
        idle_variables: Names of variables that no answer needs.
        products: How many matrix products and convolutions are in the
            functions that `serving_default` calls, needed or not.
        precision: The coarsest type of floats that something is computed
            in: `"float32"`, `"float16"` or `"bfloat16"`.
    """

    parameters: int
    operations: collections.Counter[str]
    idle_variables: list[str]
    products: int
    precision: str


def content(meta_graph: Any) -> Content:
    """Returns what is in a SavedModel.

    Args:
        meta_graph: Its `MetaGraphDef`.
    """
    graph, definitions = (
        meta_graph.graph_def,
        signature_definitions(meta_graph),
    )
    outputs = {name: _outputs(d) for name, d in definitions.items()}
    default = _Walk(graph, outputs.get(DEFAULT_SIGNATURE, ()))
    everything = _Walk(graph, itertools.chain.from_iterable(outputs.values()))
    sizes = {
        node.name: math.prod(d.size for d in node.attr["shape"].shape.dim)
        for node in graph.node
        if node.op in _VARIABLES
    }
    return Content(
        parameters=sum(n for v, n in sizes.items() if v in everything.top),
        operations=default.operations(),
        idle_variables=sorted({*sizes} - everything.top),
        products=default.products(),
        precision=_precision(graph),
    )


def _precision(graph: Any) -> str:
    """Returns the coarsest type of floats that functions compute in."""
    types = {
        tf.as_dtype(node.attr["T"].type).name
        for function in graph.library.function
        for node in function.node_def
        if node.attr["T"].type
    }
    return next((name for name in PRECISIONS if name in types), "float32")


def _outputs(definition: Any) -> list[str]:
    return [info.name for info in definition.outputs.values()]


class _Walk:
    """Follows tensors back to what they are computed from.

    Attributes:
        top: Names of the nodes needed outside of functions.
        inner: Names of the nodes needed in each function.
    """

    def __init__(self, graph: Any, tensors: Iterable[str]) -> None:
        self._functions = {f.signature.name: f for f in graph.library.function}
        self.inner: dict[str, set[str]] = {}
        self._visited: dict[tuple[str, frozenset[int]], set[str]] = {}
        self._nodes = {node.name: node for node in graph.node}
        self._inner_nodes: dict[str, Mapping[str, Any]] = {}
        self.top: set[str] = set()
        self._follow(list(tensors), self._nodes, self.top)

    def _follow(
        self, waiting: list[str], nodes: Mapping[str, Any], needed: set[str]
    ) -> set[str]:
        """Adds what tensors need to `needed`; returns what is no node.

        In a function, those are its arguments.
        """
        arguments, seen = set(), set()
        while waiting:
            tensor = waiting.pop()
            if tensor in seen or tensor.startswith("^"):
                continue
            seen.add(tensor)
            name, _, rest = tensor.partition(":")
            if name not in nodes:
                arguments.add(name)
                continue
            needed.add(name)
            waiting += self._inputs(nodes[name], rest)
        return arguments

    def _inputs(self, node: Any, output: str) -> list[str]:
        """Returns what an output of a node is computed from."""
        data = [name for name in node.input if not name.startswith("^")]
        if node.op not in _CALLS:
            # Whatever is called in loops and branches is needed as a whole.
            for name in _called(node):
                self._visit(name, range(self._num_outputs(name)))
            return data
        index = int(output.rpartition(":")[2] or 0)
        (name,) = _called(node)
        arguments = self._visit(name, [index])
        names = [a.name for a in self._functions[name].signature.input_arg]
        return [data[names.index(argument)] for argument in arguments]

    def _visit(self, name: str, outputs: Iterable[int]) -> set[str]:
        """Walks through a function; returns the arguments it needs."""
        key = name, frozenset(outputs)
        if key not in self._visited:
            function = self._functions[name]
            if name not in self._inner_nodes:
                self._inner_nodes[name] = {n.name: n for n in function.node_def}
            results = [
                function.ret[function.signature.output_arg[i].name]
                for i in key[1]
            ]
            needed = self.inner.setdefault(name, set())
            self._visited[key] = self._follow(
                results, self._inner_nodes[name], needed
            )
        return self._visited[key]

    def _num_outputs(self, name: str) -> int:
        return len(self._functions[name].signature.output_arg)

    def operations(self) -> collections.Counter[str]:
        """Returns how many operations of each type are needed."""
        found = collections.Counter(self._nodes[n].op for n in self.top)
        for name, needed in self.inner.items():
            nodes = self._inner_nodes[name]
            found.update(nodes[n].op for n in needed)
        return found

    def products(self) -> int:
        """Returns how many products there are in all functions on the way."""
        return sum(
            node.op in PRODUCTS
            for nodes in self._inner_nodes.values()
            for node in nodes.values()
        )


def _called(node: Any) -> list[str]:
    """Returns the names of the functions that a node calls."""
    found = []
    for attribute in node.attr.values():
        functions = [attribute.func, *attribute.list.func]
        found += [function.name for function in functions if function.name]
    return found
