"""What there is to say of a servable."""

import dataclasses
from collections.abc import Mapping
from typing import Any

_MOST_NAMES = 4


@dataclasses.dataclass(frozen=True)
class ServableReport:
    """What `verify_servable` found.

    Attributes:
        path: The folder of the SavedModel.
        signatures: Inputs and outputs of all signatures, `{name: {"inputs" or
            "outputs": {name: {"dtype", "shape"}}}}`.
        parameters: Number of values in its variables.
        operations: How many operations answers of `serving_default` take.
        warmup_requests: How many warm-up requests were run.
        loaders: Largest difference between TensorFlow's Python and C loaders,
            as a share of the largest answer if that is above 1.
        model: The same between the servable and the model; `None` if no
            model was given.
    """

    path: str
    signatures: dict[str, Any]
    parameters: int
    operations: int
    warmup_requests: int
    loaders: float
    model: float | None

    def __str__(self) -> str:
        """Returns the findings for people."""
        lines = [
            f"{self.path}: fine",
            f"  {self.parameters:,} parameters, all of which answers need, "
            f"and {self.operations:,} operations",
            f"  {self.warmup_requests} warm-up requests run",
            "  answers by TensorFlow's Python and C loaders agree to "
            f"{self.loaders:.1g}",
        ]
        if self.model is not None:
            lines.append(f"  and with those of the model to {self.model:.1g}")
        for name, ends in self.signatures.items():
            given, answered = _shown(ends["inputs"]), _shown(ends["outputs"])
            lines.append(f"  {name}: {given} -> {answered}")
        return "\n".join(lines)


def _shown(tensors: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns what tensors there are, in short."""
    by_spec: dict[str, list[str]] = {}
    for name, spec in tensors.items():
        shape = "..." if spec["shape"] is None else str(spec["shape"])
        shown = f"{spec['dtype']}{shape.replace('None', '?')}"
        by_spec.setdefault(shown, []).append(name)
    return ", ".join(
        f"{_abbreviated(names)} {shown}" for shown, names in by_spec.items()
    )


def _abbreviated(names: list[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, ..., {names[-1]} ({len(names)})"
