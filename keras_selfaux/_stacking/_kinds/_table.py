"""Tables of which modules read which inputs, and how weights follow them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_selfaux._stacking._nodes import take_static
from keras_selfaux._types import Layer, Tensor

# Rows are filled up to the longest one. Where that would more than double
# what is computed, every result gets a row, and its input, of its own.
_MOST_PADDING = 2


class Round(NamedTuple):
    """Modules that run at the same time, none of them twice.

    Attributes:
        layer: The stacked layer that the modules belong to.
        rows: For each of its modules the row that it reads, or `None`.
    """

    layer: Layer
    rows: list[int | None]


class Table:
    """Which modules read which input: G rows of K modules.

    Args:
        rows: The table, as a rectangle.
        places: For each result that is wanted, in order, its place in the
            flattened table. Other places are there to fill rows.
    """

    def __init__(
        self, rows: Sequence[Sequence[int]], places: Sequence[int]
    ) -> None:
        self.rows = rows
        self.places = list(places)

    @property
    def width(self) -> int:
        """How many modules read one input."""
        return len(self.rows[0])

    def fanned(self) -> "Table":
        """Returns the table for inputs that each have one reader."""
        rows = [[module] for row in self.rows for module in row]
        return Table(rows, self.places)

    def arrange(self, layer: Layer, name: str) -> Tensor:
        """Returns a weight of a stacked layer as `(G, K, ...)`."""
        weight = ops.convert_to_tensor(getattr(layer, f"stacked_{name}"))
        modules = [module for row in self.rows for module in row]
        values = take_static(weight, modules)
        return ops.reshape(
            values, (len(self.rows), self.width, *weight.shape[1:])
        )

    def rounds(self, layer: Layer) -> Iterator[Round]:
        """Yields who reads what, one reading per module at a time."""
        reads: list[list[int]] = [[] for _ in range(layer.count)]
        for place in self.places:
            row, column = divmod(place, self.width)
            reads[self.rows[row][column]].append(row)
        for number in range(max(map(len, reads))):
            yield Round(
                layer,
                [row[number] if number < len(row) else None for row in reads],
            )


class Beside:
    """A table for two stacks at once: each input feeds 1 + K modules.

    Module g of the first stack and modules gK to gK + K - 1 of the second
    read input g. No weight is gathered for it, hence none scattered in the
    gradient.

    Args:
        others: The second stack's layer for each layer of the first.
        groups: The number G of inputs.
        fan: K, how many modules of the second stack read each input.
        fanned: Whether each module has its own input already.
    """

    def __init__(
        self,
        others: Mapping[Any, Any],
        groups: int,
        fan: int,
        *,
        fanned: bool = False,
    ) -> None:
        self._others = others
        self._groups = groups
        self._fan = fan
        self._fanned = fanned

    @property
    def width(self) -> int:
        """How many modules read one input."""
        return 1 if self._fanned else 1 + self._fan

    def fanned(self) -> "Beside":
        """Returns the table for inputs that each have one reader."""
        return Beside(self._others, self._groups, self._fan, fanned=True)

    def arrange(self, layer: Layer, name: str) -> Tensor:
        """Returns both stacks' weights as `(G, 1 + K, ...)`."""
        first, second = (
            ops.convert_to_tensor(getattr(stacked, f"stacked_{name}"))
            for stacked in (layer, self._others[layer])
        )
        shape = tuple(first.shape[1:])
        rows = (
            ops.reshape(first, (self._groups, 1, *shape)),
            ops.reshape(second, (self._groups, self._fan, *shape)),
        )
        both = ops.concatenate(rows, axis=1)
        return ops.reshape(both, (-1, 1, *shape)) if self._fanned else both

    def rounds(self, layer: Layer) -> Iterator[Round]:
        """Yields who reads what, one stack at a time."""
        readers = 1 + self._fan
        places = range(self._groups * readers)
        first = [place for place in places if place % readers == 0]
        second = [place for place in places if place % readers != 0]
        yield Round(layer, [place // self.width for place in first])
        yield Round(
            self._others[layer], [place // self.width for place in second]
        )


class PerSample:
    """A table in which every sample is an input with one module of its own.

    The modules are those of two stacks, numbered through, and a tensor says
    at run time which one reads which sample. Where each sample needs one of
    many modules, gathering its weights is far less work than running all.

    Args:
        others: The second stack's layer for each layer of the first.
        modules: Integers of shape `(G,)`: the module for each sample.
    """

    width = 1

    def __init__(self, others: Mapping[Any, Any], modules: Tensor) -> None:
        self._others = others
        self._modules = modules

    def fanned(self) -> "PerSample":
        """Returns the table for inputs that each have one reader."""
        return self

    def arrange(self, layer: Layer, name: str) -> Tensor:
        """Returns the samples' weights as `(G, 1, ...)`."""
        both = ops.concatenate(
            [
                ops.convert_to_tensor(getattr(stacked, f"stacked_{name}"))
                for stacked in (layer, self._others[layer])
            ]
        )
        return ops.take(both, self._modules, axis=0)[:, None]


AnyTable = Table | Beside | PerSample


def lay_out(
    reads: Sequence[int], modules: Sequence[int]
) -> tuple[list[int], Table]:
    """Lays out who reads what as a rectangle.

    Args:
        reads: For each result, the number of the input that it reads.
        modules: For each result, the number of the module that makes it.

    Returns:
        The number of the input that each row of the table reads, and the
        table. Rows repeat their first module to become equally long.
    """
    rows: dict[int, list[int]] = {read: [] for read in sorted(set(reads))}
    columns = []
    for read, module in zip(reads, modules, strict=True):
        columns.append(len(rows[read]))
        rows[read].append(module)
    width = max(map(len, rows.values()))
    if width * len(rows) > _MOST_PADDING * len(columns):
        table = Table([[module] for module in modules], range(len(modules)))
        return list(reads), table
    start = {read: number * width for number, read in enumerate(rows)}
    return list(rows), Table(
        [row + [row[0]] * (width - len(row)) for row in rows.values()],
        [
            start[read] + column
            for read, column in zip(reads, columns, strict=True)
        ],
    )
