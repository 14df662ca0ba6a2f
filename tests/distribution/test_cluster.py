import json
import re
from typing import Any

import pytest
import tensorflow as tf

from keras_selfaux.distribution import is_chief, make_strategy
from keras_selfaux.distribution._cluster import check_tf_config, resolve_cluster
from tests.replicas import two_replicas

ADDRESSES = ["host1:1", "host2:1"]
WORKERS = {"worker": ADDRESSES}
TASK = {"type": "worker", "index": 0}


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{worker", "TF_CONFIG is not JSON. Received: '{worker' ("),
        ("[]", 'TF_CONFIG has no "cluster" of workers. Received: []. Set it'),
        ({"task": TASK}, 'TF_CONFIG has no "cluster" of workers.'),
        ({"cluster": {"worker": []}, "task": TASK}, 'has no "cluster" of'),
        (
            {"cluster": WORKERS},
            'TF_CONFIG lacks "task" with "type" and "index"',
        ),
        (
            {"cluster": WORKERS, "task": {"type": "worker"}},
            'TF_CONFIG lacks "task" with "type" and "index"',
        ),
        (
            {"cluster": WORKERS, "task": {"type": "chief", "index": 0}},
            'TF_CONFIG has a "task" of type \'chief\', not in "cluster"',
        ),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": 2}},
            'TF_CONFIG has a "task" with an "index" out of 0 to 1. Received: '
            "index=2. Set it for every worker, as in '{",
        ),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": -1}},
            "Received: index=-1.",
        ),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": None}},
            "Received: index=None.",
        ),
        (
            {"cluster": {"ps": ADDRESSES}, "task": {"type": "ps", "index": 0}},
            "TF_CONFIG names the role 'ps', not one of ('chief', 'worker')",
        ),
        (
            {"cluster": {"worker": ["host1"]}, "task": TASK},
            'TF_CONFIG has a "cluster" with no list of "host:port"',
        ),
        (
            {"cluster": {"worker": "host1:1"}, "task": TASK},
            'TF_CONFIG has a "cluster" with no list of "host:port"',
        ),
        (
            {"cluster": {"worker": ["host1:1"] * 2}, "task": TASK},
            "TF_CONFIG has one address twice",
        ),
        (
            {"cluster": {"chief": ADDRESSES, **WORKERS}, "task": TASK},
            "TF_CONFIG has more than one chief",
        ),
    ],
)
def test_what_is_wrong_with_tf_config(
    config: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=re.escape(message)):
        make_strategy("multiworker")


def test_good_configs_pass() -> None:
    check_tf_config(json.dumps({"cluster": WORKERS, "task": TASK}))
    both = {"chief": ["host0:1"], **WORKERS}
    task = {"type": "chief", "index": "0"}  # Kubernetes operators quote it
    check_tf_config(json.dumps({"cluster": both, "task": task}))


def test_workers_must_be_named_somewhere() -> None:
    with pytest.raises(
        ValueError,
        match=r"A strategy of several workers needs to know who they are\. "
        "Received: neither TF_CONFIG nor the variables of a Slurm job step",
    ):
        make_strategy("multiworker")


def slurm(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Sets the variables of a job step: two tasks on each of two nodes."""
    variables = {
        "PROCID": "2",
        "STEP_NUM_TASKS": "4",
        "STEP_NODELIST": "node[07-08]",
        "STEP_TASKS_PER_NODE": "2(x2)",
        **changes,
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_slurm_names_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # a node without GPU
    resolver = resolve_cluster()
    assert resolver.cluster_spec().as_dict() == {
        "worker": ["node07:8888", "node07:8889", "node08:8888", "node08:8889"]
    }
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)
    assert resolver.num_accelerators() == {"GPU": 0}


def test_slurm_shares_out_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    slurm(monkeypatch)
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert resolve_cluster().num_accelerators() == {"GPU": 2}


def test_variables_of_slurm_may_be_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slurm(monkeypatch, STEP_NUM_TASKS="3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(
        ValueError, match="The variables of Slurm do not describe a job step"
    ):
        make_strategy("multiworker")


@pytest.mark.parametrize(
    ("cluster", "task", "wanted"),
    [
        (WORKERS, ("worker", 0), True),
        (WORKERS, ("worker", 1), False),
        ({"chief": ["host0:1"], **WORKERS}, ("worker", 0), False),
        ({"chief": ["host0:1"], **WORKERS}, ("chief", 0), True),
    ],
)
def test_one_worker_is_the_chief(
    cluster: Any, task: Any, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert is_chief() is wanted
    # What is asked about decides, not what the process might have joined.
    assert is_chief(tf.distribute.get_strategy())


def test_a_single_process_is_the_chief() -> None:
    assert is_chief()
    assert is_chief(two_replicas())
    with two_replicas().scope():
        assert is_chief()
