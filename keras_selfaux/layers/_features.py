"""`Features`: an encoder's output, by task, without needless copies."""

from collections.abc import Iterable, Mapping

from keras_selfaux._stacking import Nodes
from keras_selfaux._types import Shape, Task, Tensor


class Features:
    """One feature tensor per task, kept as nodes that tasks may share.

    Args:
        groups: Groups of nodes; the nodes of a group are of one shape.
        place: For each task, the numbers of its group and of its node.
    """

    def __init__(
        self, groups: list[Nodes], place: Mapping[Task, tuple[int, int]]
    ) -> None:
        self._groups = groups
        self._place = dict(place)

    @classmethod
    def from_dict(cls, features: Mapping[Task, Tensor]) -> "Features":
        """Groups separate tensors by shape; equal tensors become one node."""
        items: dict[tuple[Shape, str], list[Tensor]] = {}
        place: dict[Task, tuple[int, int]] = {}
        for task, tensor in features.items():
            key = (tuple(tensor.shape), str(tensor.dtype))
            group = items.setdefault(key, [])
            node = next(
                (i for i, other in enumerate(group) if other is tensor), None
            )
            if node is None:
                node = len(group)
                group.append(tensor)
            place[task] = (list(items).index(key), node)
        return cls([Nodes(items=group) for group in items.values()], place)

    def __getitem__(self, task: Task) -> Tensor:
        group, node = self._place[task]
        return self._groups[group][node]

    def select(self, tasks: Iterable[Task]) -> tuple[Nodes, list[int]]:
        """Returns nodes that hold the tasks' features, and which is whose."""
        places = [self._place[task] for task in tasks]
        if len({group for group, _ in places}) == 1:
            return self._groups[places[0][0]], [node for _, node in places]
        number = {place: i for i, place in enumerate(dict.fromkeys(places))}
        items = [self._groups[group][node] for group, node in number]
        return Nodes(items=items), [number[place] for place in places]
