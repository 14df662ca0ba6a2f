"""What a SavedModel computes, and what in it no answer needs.

An answer is followed back through the graph to the variables it is computed
from. A head that only training needed would be off all these paths.
"""

import collections
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tensorflow.core.framework import types_pb2

from keras_selfaux.export._saved_model import (
    DEFAULT_SIGNATURE,
    signature_definitions,
)

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_VARIABLE = "VarHandleOp"
_RESOURCE = types_pb2.DT_RESOURCE
_COARSEST_FIRST = {
    "bfloat16": types_pb2.DT_BFLOAT16,
    "float16": types_pb2.DT_HALF,
}


class Content(NamedTuple):
    """What is in a SavedModel.

    Attributes:
        parameters: Number of values in variables that answers need.
        operations: How many operations of each type answers of
            `serving_default` need.
        idle_variables: Names of variables that no answer needs.
        idle_operations: Names of operations on inputs and variables that no
            answer needs.
        precision: The coarsest type of floats that something is computed
            in: `"float32"`, `"float16"` or `"bfloat16"`.
    """

    parameters: int
    operations: collections.Counter[str]
    idle_variables: list[str]
    idle_operations: list[str]
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
    everything = _Walk(graph, itertools.chain.from_iterable(outputs.values()))
    sizes = {
        node.name: math.prod(d.size for d in node.attr["shape"].shape.dim)
        for node in graph.node
        if node.op == _VARIABLE
    }
    return Content(
        parameters=sum(n for v, n in sizes.items() if v in everything.top),
        operations=_Walk(
            graph, outputs.get(DEFAULT_SIGNATURE, ())
        ).operations(),
        idle_variables=sorted({*sizes} - everything.top),
        idle_operations=everything.idle_operations(),
        precision=_precision(graph),
    )


def _precision(graph: Any) -> str:
    """Returns the coarsest type of floats that functions compute in."""
    types = {
        node.attr["T"].type
        for function in graph.library.function
        for node in function.node_def
    }
    for name, number in _COARSEST_FIRST.items():
        if number in types:
            return name
    return "float32"


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

    def idle_operations(self) -> list[str]:
        """Returns which operations lead to no result, such as a clone's.

        Only those that bring inputs and variables together are told of: Keras
        looks up many a shape that is not needed after all.
        """
        return [
            f"{name}/{node}"
            for name, needed in self.inner.items()
            for node in sorted(
                self._computed_from(name, resources=True)
                & self._computed_from(name, resources=False) - needed
            )
        ]

    def _computed_from(self, name: str, *, resources: bool) -> set[str]:
        """Returns the nodes of a function that are computed from arguments.

        Args:
            name: The function's name.
            resources: Whether from its variables, or from all others.
        """
        waiting = [
            argument.name
            for argument in self._functions[name].signature.input_arg
            if (argument.type == _RESOURCE) == resources
        ]
        # Nodes of a function come in any order.
        readers = collections.defaultdict(list)
        for node in self._inner_nodes[name].values():
            for tensor in node.input:
                readers[tensor.partition(":")[0]].append(node.name)
        found = set()
        while waiting:
            for reader in readers[waiting.pop()]:
                if reader not in found:
                    found.add(reader)
                    waiting.append(reader)
        return found


def _called(node: Any) -> list[str]:
    """Returns the names of the functions that a node calls."""
    found = []
    for attribute in node.attr.values():
        functions = [attribute.func, *attribute.list.func]
        found += [function.name for function in functions if function.name]
    return found
