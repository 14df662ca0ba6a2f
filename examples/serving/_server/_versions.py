"""Which versions of a model a folder has, and which of them are wanted."""

import pathlib
from typing import Any

Found = dict[int, pathlib.Path]


def find(base_path: pathlib.Path) -> Found:
    """Returns the folders of all versions: those named by a whole number.

    Raises:
        OSError: If there is no such folder.
    """
    return {
        int(path.name): path
        for path in base_path.iterdir()
        if path.name.isascii()
        and path.name.isdigit()
        and int(path.name) < 2**63  # as the server reads it
        and path.is_dir()
    }


def choose(found: Found, policy: Any) -> Found:
    """Returns the versions that a policy wants.

    Args:
        found: All there are.
        policy: A `ServableVersionPolicy`. If none is set, the highest version.
    """
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return found
    if kind == "specific":
        wanted = set(policy.specific.versions)
    else:
        number = max(policy.latest.num_versions, 1)
        wanted = set(sorted(found)[-number:])
    return {version: found[version] for version in wanted & set(found)}


def fingerprint(path: pathlib.Path) -> tuple[Any, ...]:
    """Returns what changes when one of a version's files does."""
    stats = [(file, file.lstat()) for file in sorted(path.rglob("*"))]
    return tuple((file, s.st_size, s.st_mtime_ns) for file, s in stats)
