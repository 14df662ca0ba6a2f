"""Values that nobody meant, and damage to those that somebody did."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

names = st.text(st.sampled_from("abcdé _-.:"), min_size=1, max_size=3)
"""Names that a task may have."""

task_lists = st.lists(names, min_size=1, max_size=5, unique=True)

_numbers = st.one_of(st.integers(), st.floats(), st.booleans())

_scalars = st.one_of(st.none(), _numbers, st.text(max_size=5))

json_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=6,
)
"""Whatever JSON can hold, NaN and infinity included."""

odd_values = st.one_of(
    json_values,
    st.binary(max_size=4),
    st.complex_numbers(),
    st.sets(st.integers(), max_size=2),
    st.tuples(_scalars, _scalars),
    st.dictionaries(_scalars, _scalars, max_size=2),
    st.sampled_from(
        [
            object(),
            object,
            len,
            ...,
            np.float32(0.5),
            np.int64(1),
            np.array([1.0, np.nan]),
            np.array(["a", "b"]),
            np.zeros((0, 2)),
            range(2),
        ]
    ),
)
"""Values of any type."""


def or_odd(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Returns values that are mostly as they should be."""
    return st.one_of(usual, usual, odd_values)


def lazily(
    make: Callable[[], st.SearchStrategy[Any]],
) -> st.SearchStrategy[Any]:
    """Returns a strategy that is made when values are first drawn from it.

    What it starts from may take long to make, or need a backend.
    """
    return st.just(None).flatmap(lambda _: make())


@st.composite
def mutated(draw: Any, document: Any) -> Any:
    """Returns a copy of a JSON document with one or two places changed."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(document))
        if not places:
            return draw(json_values)
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        how = draw(st.sampled_from(["replace", "remove", "rename", "wrap"]))
        if how == "replace":
            holder[key] = draw(json_values)
        elif how == "wrap":
            holder[key] = [holder[key]]
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(st.text(max_size=3))] = holder.pop(key)
        else:
            del holder[key]
    return document


def _places(document: Any) -> Any:
    keys: Any = ()
    if isinstance(document, dict):
        keys = list(document)
    elif isinstance(document, list):
        keys = range(len(document))
    for key in keys:
        yield document, key
        yield from _places(document[key])


@st.composite
def damaged_bytes(draw: Any, content: bytes) -> bytes:
    """Returns bytes that were cut, overwritten, or added to."""
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    how = draw(
        st.sampled_from(["cut", "flip", "insert", "zeros", "drop", "replace"])
    )
    if how == "cut":
        return content[:place]
    if how == "replace":
        return draw(st.binary(max_size=20))
    if how == "insert":
        added = draw(st.binary(min_size=1, max_size=4))
        return content[:place] + added + content[place:]
    length = draw(st.integers(1, 64))
    if how == "drop":
        return content[:place] + content[place + length :]
    if how == "zeros":
        hole = bytes(min(length, len(content) - place))
        return content[:place] + hole + content[place + length :]
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        changed[place : place + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(changed)


_NESTED_TOO_DEEPLY = b"[" * 100_000
_TOO_LONG_A_NUMBER = b"1" * 5_000


def damaged_json(document: Any) -> st.SearchStrategy[bytes]:
    """Returns files that should hold a JSON document, and hardly do."""
    text = json.dumps(document).encode()
    return st.one_of(
        mutated(document).map(lambda found: json.dumps(found).encode()),
        mutated(document).map(lambda found: json.dumps(found).encode()),
        damaged_bytes(text),
        json_values.map(lambda found: json.dumps(found).encode()),
        st.sampled_from([_NESTED_TOO_DEEPLY, _TOO_LONG_A_NUMBER, b"", b"\xff"]),
    )
