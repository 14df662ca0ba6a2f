"""Which devices of this machine a strategy is asked for."""

import re
from collections.abc import Sequence

import tensorflow as tf

from keras_selfaux._checks import error

_NAME = re.compile(r"(?:.*/)?(?:device:)?(CPU|GPU):?(\d+)", re.IGNORECASE)


def names_of_devices(devices: int | str | Sequence[str] | None) -> list[str]:
    """Returns the names of devices, such as `"GPU:0"`, all of which exist.

    Args:
        devices: A number of devices, GPUs if there are any; names, in a
            sequence or joined by commas; or `None` for all GPUs or, where
            there are none, all CPU devices.

    Raises:
        ValueError: If that is no way to name devices, or if there are fewer.
    """
    if isinstance(devices, str):
        devices = [name.strip() for name in devices.split(",")]
        if len(devices) == 1 and devices[0].isdecimal():
            devices = int(devices[0])
    if devices is None:
        kind = _best_kind()
        return [f"{kind}:{i}" for i in range(_count(kind))]
    if isinstance(devices, int) and not isinstance(devices, bool):
        kind = _best_kind()
        names = [f"{kind}:{i}" for i in range(devices)]
    else:
        names = [_name(device) for device in _listed(devices)]
    if not names or len(set(names)) < len(names):
        raise error(
            "`devices` must be one device or several different ones.",
            received=f"devices={devices!r}",
            remedy="Name every device once.",
        )
    _check_present(names)
    return names


def _listed(devices: object) -> Sequence[object]:
    if isinstance(devices, (list, tuple)):
        return devices
    raise error(
        "`devices` must be a number, names of devices, or None.",
        received=f"devices={devices!r}",
        remedy='Pass for example devices=2 or devices=["GPU:0", "GPU:1"].',
    )


def _name(device: object) -> str:
    match = _NAME.fullmatch(device) if isinstance(device, str) else None
    if match is None:
        raise error(
            "`devices` has an entry that names no device.",
            received=f"{device!r}",
            remedy='Use names like "GPU:0" and "CPU:1".',
        )
    return f"{match[1].upper()}:{int(match[2])}"


def _best_kind() -> str:
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def _count(kind: str) -> int:
    """Counts the devices of a kind, without starting TensorFlow."""
    return sum(
        len(tf.config.get_logical_device_configuration(device) or [device])
        for device in tf.config.list_physical_devices(kind)
    )


def _check_present(names: Sequence[str]) -> None:
    for kind in ("GPU", "CPU"):
        numbers = [int(n[4:]) for n in names if n.startswith(kind)]
        needed = max(numbers, default=-1) + 1
        if needed <= _count(kind):
            continue
        if kind == "CPU" and _split_cpu(needed):
            continue
        remedy = "Ask for no more devices than there are."
        if kind == "CPU":
            remedy = (
                "TensorFlow has started with fewer CPU devices: make the "
                "strategy before anything runs on TensorFlow, first of all "
                "in the program."
            )
        raise error(
            f"A strategy was asked for with {', '.join(names)}.",
            received=f"a machine with {_count('GPU')} GPU(s) and "
            f"{_count('CPU')} CPU device(s)",
            remedy=remedy,
        )


def _split_cpu(count: int) -> bool:
    """Makes several logical devices of the CPU, if it is not too late."""
    (cpu, *_) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:  # TensorFlow has started
        return False
    return True
