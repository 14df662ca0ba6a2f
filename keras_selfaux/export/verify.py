"""Checks servables from the command line.

```sh
python -m keras_selfaux.export.verify saved_models/robot_arm/1
```

Prints what was found, as JSON with `--json`. The exit status is 1 if a
servable is not what it should be.
"""

import dataclasses
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from keras_selfaux.export._verify import verify_servable

_AS_JSON = "json"
_TOLERANCE = "tolerance"


def main(arguments: list[str]) -> None:
    """Verifies the paths that the command line gives.

    Args:
        arguments: The name of the program, and paths of servables.

    Raises:
        absl.app.UsageError: If there is no path.
        SystemExit: With status 1, if one of them is not fine.
    """
    paths = arguments[1:]
    if not paths:
        raise app.UsageError("Name the folder of a servable, or several.")
    values = flags.FLAGS
    failed = False
    for path in paths:
        try:
            report = verify_servable(path, tolerance=values[_TOLERANCE].value)
        except (ImportError, OSError, RuntimeError, ValueError) as problem:
            sys.stderr.write(f"error: {problem}\n")
            failed = True
            continue
        if values[_AS_JSON].value:
            text = json.dumps(dataclasses.asdict(report), indent=2)
        else:
            text = str(report)
        sys.stdout.write(f"{text}\n")
    if failed:
        sys.exit(1)


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_bool(
        _AS_JSON, False, "Whether to print JSON.", flag_values=values
    )
    flags.DEFINE_float(
        _TOLERANCE,
        None,
        "The largest difference of answers that is put up with, as a share "
        "of the largest answer if that is above 1; 1e-5 if not given, or "
        "0.01 where something is computed in float16 and 0.08 in bfloat16.",
        flag_values=values,
    )


if __name__ == "__main__":
    define_flags(flags.FLAGS)
    app.run(main)
