"""Who the workers are: from TF_CONFIG, from Slurm, or as given."""

import json
import os
import shutil
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import UsageError, error

_EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ROLES = ("chief", "worker")
_resolvers = tf.distribute.cluster_resolver


def resolve_cluster() -> Any:
    """Returns a resolver of the cluster that this process belongs to.

    TF_CONFIG says so, or else the variables of a Slurm job step.

    Raises:
        ValueError: If neither does, or TF_CONFIG is not right.
    """
    if "TF_CONFIG" in os.environ:
        check_tf_config(os.environ["TF_CONFIG"])
        return _resolvers.TFConfigClusterResolver()
    if "SLURM_PROCID" in os.environ and "SLURM_STEP_NODELIST" in os.environ:
        return _slurm_resolver()
    raise error(
        "A strategy of several workers needs to know who they are.",
        received="neither TF_CONFIG nor the variables of a Slurm job step",
        remedy=f"Set TF_CONFIG for every worker, as in '{_EXAMPLE}', start "
        "the program by `srun`, or pass `cluster_resolver`.",
    )


def check_tf_config(text: str) -> None:
    """Raises unless a TF_CONFIG names workers, and one of them as this one.

    Raises:
        ValueError: If it is no JSON, or lacks or confuses something.
    """
    try:
        config = json.loads(text)
    except json.JSONDecodeError as problem:
        raise _wrong("is not JSON", f"{text!r} ({problem})") from problem
    cluster = config.get("cluster") if isinstance(config, Mapping) else None
    if not isinstance(cluster, Mapping) or not any(cluster.values()):
        raise _wrong('has no "cluster" of workers', text)
    for role, addresses in cluster.items():
        _check_role(role, addresses, text)
    every = [address for part in cluster.values() for address in part]
    if len(set(every)) < len(every):
        raise _wrong("has one address twice", text)
    task = config.get("task")
    if not isinstance(task, Mapping) or not {"type", "index"} <= set(task):
        raise _wrong('lacks "task" with "type" and "index"', text)
    role, index = task["type"], task["index"]
    if role not in cluster:
        raise _wrong(f'has a "task" of type {role!r}, not in "cluster"', text)
    digits = str(index) if type(index) in (int, str) else ""
    last = len(cluster[role]) - 1
    if not digits.isdecimal() or int(digits) > last:
        raise _wrong(
            f'has a "task" with an "index" out of 0 to {last}',
            f"index={index!r}",
        )


def _check_role(role: object, addresses: object, text: str) -> None:
    if role not in _ROLES:
        raise _wrong(f"names the role {role!r}, not one of {_ROLES}", text)
    if not isinstance(addresses, list) or not all(
        isinstance(address, str) and address.rpartition(":")[2].isdecimal()
        for address in addresses
    ):
        raise _wrong('has a "cluster" with no list of "host:port"', text)
    if role == "chief" and len(addresses) > 1:
        raise _wrong("has more than one chief", text)


def _wrong(what: str, received: str) -> UsageError:
    return error(
        f"TF_CONFIG {what}.",
        received=received,
        remedy=f"Set it for every worker, as in '{_EXAMPLE}'.",
    )


def _slurm_resolver() -> Any:
    """Returns TensorFlow's resolver for Slurm, on nodes without GPU too."""
    # An empty CUDA_VISIBLE_DEVICES would be counted as one GPU.
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    has_gpus = bool(shutil.which("nvidia-smi")) and not hidden
    try:
        if has_gpus:
            return _resolvers.SlurmClusterResolver()
        # It divides GPUs among tasks, and fails where there are none.
        found = _resolvers.SlurmClusterResolver(
            gpus_per_node=_MANY, gpus_per_task=1, auto_set_gpu=False
        )
        cluster = found.cluster_spec()
    except (RuntimeError, ValueError) as problem:
        raise error(
            "The variables of Slurm do not describe a job step.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Start every worker by one `srun`, or set TF_CONFIG.",
        ) from problem
    return _resolvers.SimpleClusterResolver(
        cluster,
        task_type=found.task_type,
        task_id=found.task_id,
        num_accelerators={"GPU": 0},
        rpc_layer="grpc",
    )


# More tasks than any node runs.
_MANY = 4096
