"""Writing files so that a reader never finds half of one."""

import json
import os
import pathlib
from typing import Any

Path = str | os.PathLike[str]


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file at once, and its folder if it is missing.

    Args:
        path: The file.
        content: What JSON can hold; NaN and infinity it cannot.
    """
    text = json.dumps(content, indent=2, allow_nan=False)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text + "\n", encoding="utf-8")
    os.replace(unfinished, path)
