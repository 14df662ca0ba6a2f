"""The settings of a run that takes seconds."""

import pathlib
from typing import Any

TASKS = ["arm_0", "arm_1"]


def tiny_settings(
    output_dir: pathlib.Path, data_dir: str | None, **changes: Any
) -> dict[str, Any]:
    """Returns the arguments of a runner's `Config`."""
    return {
        "num_tasks": 2,
        "train_per_task": 10,
        "epochs": 2,
        "seeds": (0,),
        "batch_size": 10,
        "jit_compile": False,
        "verbose": False,
        "data_dir": data_dir,
        "output_dir": str(output_dir),
        **changes,
    }
