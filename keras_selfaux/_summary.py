"""What `SelfAuxModel.summary` says beside Keras's table."""

from typing import Any


def summary_lines(model: Any) -> list[str]:
    """Says what training adds, how it runs, and what an export drops."""
    graph, bank = model.transfer_graph, model.head_bank
    discarded = bank.num_clone_parameters if bank.built else 0
    kept = model.count_params() - discarded if model.built else 0
    # What may run as one product, by the part it belongs to.
    stacks = {
        "Encoder": getattr(model.encoder, "stage_stacks", []),
        "Heads": bank.primary_stacks,
        "Clones": bank.clone_stacks,
    }
    return [
        f" Tasks: {', '.join(graph.tasks)}",
        f" Self-auxiliaries: {len(graph.edges)}",
        *(
            f" {part}: {stack.describe()}"
            for part, members in stacks.items()
            for stack in members
        ),
        f" Parameters kept at export: {kept:,}",
        f" Parameters discarded at export: {discarded:,}",
    ]
