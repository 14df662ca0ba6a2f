"""A saved model taken apart, damaged, and put together again."""

import io
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from keras.src.utils import python_utils

from tests.generated.strategies import damaged_bytes, damaged_json, mutated

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"

EXECUTED: list[str] = []
"""What code out of files would leave a trace in."""

TRACE = pathlib.Path(tempfile.gettempdir()) / f"executed.{os.getpid()}"
"""A file that commands out of files would make."""


def members_of(content: bytes) -> dict[str, bytes]:
    """Returns the files in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(members: Mapping[str, bytes]) -> bytes:
    """Returns an archive of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _dumped_lambda() -> dict[str, Any]:
    code, defaults, closure = python_utils.func_dump(
        lambda x: (
            __import__(
                "tests.generated.archives"
            ).generated.archives.EXECUTED.append("lambda")
            or x
        )
    )
    value = {"code": code, "defaults": defaults, "closure": closure}
    return {"class_name": "__lambda__", "config": {"value": value}}


def foreign_objects() -> list[Any]:
    """Returns configs that ask for code, or for what is not a layer."""
    code = _dumped_lambda()
    trace = "tests.generated.archives"
    return [
        code,
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"name": "code", "function": code},
            "registered_name": None,
        },
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {
                "function": code["config"]["value"],
                "function_type": "lambda",
            },
            "registered_name": None,
        },
        {
            "module": "os",
            "class_name": "system",
            "config": {"command": f"touch {TRACE}"},
        },
        {
            "module": "builtins",
            "class_name": "function",
            "config": "eval",
            "registered_name": "function",
        },
        {
            "module": trace,
            "class_name": "function",
            "config": "executed",
            "registered_name": "executed",
        },
        {
            "module": trace,
            "class_name": "Executed",
            "config": {},
            "registered_name": "Executed",
        },
        {
            "module": "keras.utils",
            "class_name": "function",
            "config": "get_file",
            "registered_name": "get_file",
        },
    ]


class Executed:
    """What a file must not be able to make."""

    def __init__(self) -> None:
        EXECUTED.append("class")

    @classmethod
    def from_config(cls, config: Any) -> "Executed":
        return cls()


def executed(*args: Any) -> Any:
    """What a file must not be able to call."""
    EXECUTED.append("function")
    return args[0]


@st.composite
def with_foreign_object(draw: Any, config: Any) -> Any:
    """Returns a model's config with an object of no good somewhere."""
    text = json.dumps(config)
    found: Any = json.loads(text)
    places = list(_objects(found))
    holder, key = draw(st.sampled_from(places))
    holder[key] = draw(st.sampled_from(foreign_objects()))
    return found


def _objects(config: Any) -> Any:
    """Yields where a config holds what is made of class and config."""
    items = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in items:
        if isinstance(value, dict):
            if "class_name" in value:
                yield config, key
            yield from _objects(value)
        elif isinstance(value, list):
            yield from _objects(value)


@st.composite
def damaged_archives(draw: Any, content: bytes) -> bytes:
    """Returns an archive that is damaged, or whose members are."""
    members = members_of(content)
    how = draw(
        st.sampled_from(
            ["bytes", "remove", "rename", "swap", "config", "weights", "text"]
        )
    )
    name = draw(st.sampled_from(sorted(members)))
    if how == "bytes":
        return draw(damaged_bytes(content))
    if how == "remove":
        del members[name]
    elif how == "rename":
        members[draw(st.sampled_from(["", "x", "../x"])) + name] = members.pop(
            name
        )
    elif how == "swap":
        members[CONFIG], members[WEIGHTS] = members[WEIGHTS], members[CONFIG]
    elif how == "weights":
        members[WEIGHTS] = draw(damaged_bytes(members[WEIGHTS]))
    elif how == "config":
        members[CONFIG] = json.dumps(
            draw(mutated(json.loads(members[CONFIG])))
        ).encode()
    else:
        members[CONFIG] = draw(damaged_json(json.loads(members[CONFIG])))
    return archive_of(members)
