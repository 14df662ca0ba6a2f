"""The tasks that edges join, in the order in which they are drawn."""

from collections.abc import Iterable, Sequence

from keras_selfaux._checks import error
from keras_selfaux._types import Edge, Task

_REMEDY = "Pass weights by pair, as `model.task_weights` has them."


def tasks_of(
    name: str, edges: Iterable[Edge], tasks: Sequence[Task] | None
) -> list[Task]:
    """Returns `tasks`, or the tasks of `edges`: first those with a primary.

    Args:
        name: The argument that holds the edges.
        edges: Pairs (source, target).
        tasks: The order asked for. `None`: that of the primaries in `edges`,
            then of any other tasks there.

    Raises:
        ValueError: If there is no edge, one is not a pair, or one has a task
            that is not in `tasks`.
    """
    edges = list(edges)
    if not edges:
        raise error(
            f"`{name}` must have at least one entry.",
            received=f"no pair in `{name}`",
            remedy=_REMEDY,
        )
    for edge in edges:
        if not isinstance(edge, tuple) or len(edge) != 2:
            raise error(
                f"A key of `{name}` must be a pair (source, target).",
                received=f"{edge!r}",
                remedy=_REMEDY,
            )
    # The order of the primaries is that of the model's tasks.
    primaries = [source for source, target in edges if source == target]
    others = [task for edge in edges for task in edge]
    found = list(dict.fromkeys(primaries + others))
    if tasks is None:
        return found
    unknown = [task for task in found if task not in tasks]
    if unknown:
        raise error(
            f"`tasks` must name every task of `{name}`.",
            received=f"tasks={list(tasks)}, without {unknown}",
            remedy="Add these tasks, or leave `tasks` out.",
        )
    return list(tasks)
