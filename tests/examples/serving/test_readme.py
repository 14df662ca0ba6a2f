"""The commands of the README, each with the flags that programs have."""

import json
import pathlib
import re
import shlex

import numpy as np
import pytest
import requests
import tensorflow as tf
from absl import flags

from examples import _runner
from examples.serving import client, local_server
from tests.examples.serving.running import address, place, start

ROOT = pathlib.Path(__file__).parents[3]
FOLDER = ROOT / "examples/serving"
README = (FOLDER / "README.md").read_text("utf-8")


def commands(program):
    """Returns the arguments of every call of a program."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    calls = [shlex.split(line) for line in lines]
    return [call for call in calls if program in " ".join(call[:2])]


def config(config_class, arguments):
    values = flags.FlagValues()
    _runner.define_flags(config_class, values)
    values(arguments)
    return _runner.config_from_flags(config_class, values)


@pytest.fixture(scope="module")
def robot_arms(tmp_path_factory, version_1):
    """The server that the README starts, with two versions and a canary."""
    folder = tmp_path_factory.mktemp("saved_models")
    for number in (1, 2):
        place(version_1, folder / "robot_arm", number)
    ((_, *arguments),) = commands("local_server.py")
    wanted = config(local_server.Config, arguments)
    assert wanted.models_dir == "saved_models"
    text = (ROOT / wanted.model_config_file).read_text("utf-8")
    path = folder / "models.config"
    path.write_text(text.replace("# version_labels", "version_labels"))
    with start(
        model_config_file=path,
        models_dir=folder,
        allow_version_labels_for_unavailable_models=(
            wanted.allow_version_labels_for_unavailable_models
        ),
    ) as server:
        yield server


@pytest.mark.parametrize("command", commands("client.py"), ids=" ".join)
def test_client(robot_arms, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", np.zeros((1000, 2)))
    _, *arguments = command
    wanted = config(client.Config, arguments)
    if wanted.model == "rooms":
        assert len(wanted.images) == 2
        assert len(wanted.kinds) == 3
        return
    server = f"--server={address(robot_arms, wanted.protocol)}"
    found = client.run(config(client.Config, [*arguments, server]))
    if wanted.output:
        with np.load(wanted.output) as written:
            assert {*written} == {*found} == {"arm_0", "arm_1"}
            assert written["arm_0"].shape == (1000, 3)
    elif wanted.status:
        assert [entry.version for entry in found] == [2, 1]
    else:
        assert {*found} == {*wanted.tasks}


def test_curl(robot_arms):
    calls = [c for c in commands("curl") if "-d" in c]
    assert len(calls) == 2
    for _, _, body, url in calls:
        local = url.replace("localhost:8501", address(robot_arms, "rest"))
        answer = requests.post(local, data=body, timeout=10)
        assert answer.status_code == 200
        key = {"instances": "predictions", "inputs": "outputs"}
        assert [*answer.json()] == [key[next(iter(json.loads(body)))]]


def test_python(robot_arms):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    found = {}
    exec(code.replace("localhost:8500", address(robot_arms, "grpc")), found)
    assert found["answers"]["arm_0"].shape == (1, 3)


def test_names_every_file():
    named = set(re.findall(r"^\| `([\w.]+)` \|", README, flags=re.MULTILINE))
    public = {
        path.name
        for path in FOLDER.iterdir()
        if path.is_file() and not path.name.startswith("_")
    }
    assert named == public - {"README.md"}


def test_prints_the_answers_of_the_model_that_is_kept():
    table = README.split("2 rows in")[1].split("```")[0]
    printed = [float(n) for n in re.findall(r"-?\d+\.\d{4,}", table)]
    loaded = tf.saved_model.load(str(ROOT / "saved_models/robot_arm/1"))
    x = tf.constant([[0.5, -0.5], [0.1, 0.2]])
    found = loaded.signatures["serving_default"](inputs=x)
    wanted = [found[task].numpy().ravel() for task in ("arm_0", "arm_1")]
    # Other processors round otherwise in the last digit.
    np.testing.assert_allclose(printed, np.concatenate(wanted), rtol=1e-4)
