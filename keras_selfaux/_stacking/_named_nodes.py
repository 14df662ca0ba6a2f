"""`NamedNodes`: tensors by name, kept as nodes that names may share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_selfaux._stacking._nodes import Nodes
from keras_selfaux._types import Shape, Tensor


class NamedNodes(Mapping[str, Any]):
    """A dict of tensors that does without needless copies.

    Args:
        groups: Groups of nodes; the nodes of a group are of one shape.
        place: For each name, the numbers of its group and of its node, or
            `None` for a name without a tensor.
    """

    def __init__(
        self, groups: list[Nodes], place: Mapping[str, tuple[int, int] | None]
    ) -> None:
        self._groups = groups
        self._place = dict(place)

    @classmethod
    def from_dict(cls, tensors: Mapping[str, Tensor | None]) -> "NamedNodes":
        """Groups separate tensors by shape; one tensor becomes one node."""
        if isinstance(tensors, NamedNodes):
            return tensors
        items: dict[tuple[Shape, str], list[Tensor]] = {}
        numbers: dict[int, tuple[int, int]] = {}
        place: dict[str, tuple[int, int] | None] = {}
        for name, tensor in tensors.items():
            if tensor is None:
                place[name] = None
                continue
            if id(tensor) not in numbers:
                key = (tuple(tensor.shape), str(tensor.dtype))
                group = items.setdefault(key, [])
                numbers[id(tensor)] = list(items).index(key), len(group)
                group.append(tensor)
            place[name] = numbers[id(tensor)]
        return cls([Nodes(items=group) for group in items.values()], place)

    @classmethod
    def from_stack(cls, names: Iterable[str], stacked: Tensor) -> "NamedNodes":
        """Names the nodes of a tensor of shape `(N, batch, ...)` in order."""
        place = {name: (0, i) for i, name in enumerate(names)}
        return cls([Nodes(stacked=stacked)], place)

    def __getitem__(self, name: str) -> Tensor | None:
        place = self._place[name]
        return None if place is None else self._groups[place[0]][place[1]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def renamed(self, names: Mapping[str, str]) -> "NamedNodes":
        """Returns the same nodes under new names.

        Args:
            names: `{new name: name here}`; several may mean one node.
        """
        place = {new: self._place[name] for new, name in names.items()}
        return NamedNodes(self._groups, place)

    def kind(self, name: str) -> int | None:
        """Returns a number that tensors of one shape and dtype share."""
        place = self._place[name]
        return None if place is None else place[0]

    def select(self, names: Iterable[str]) -> tuple[Nodes, list[int]]:
        """Returns nodes that hold these tensors, and which is whose.

        Args:
            names: Names that have a tensor.
        """
        places = [place for name in names if (place := self._place[name])]
        if len({group for group, _ in places}) == 1:
            return self._groups[places[0][0]], [node for _, node in places]
        number = {place: i for i, place in enumerate(dict.fromkeys(places))}
        items = [self._groups[group][node] for group, node in number]
        return Nodes(items=items), [number[place] for place in places]

    def stack(self, names: Sequence[str]) -> Tensor | None:
        """Returns tensors of one kind as `(N, batch, ...)`."""
        if self._place[names[0]] is None:
            return None
        nodes, which = self.select(names)
        return nodes.take(which).stacked
