"""The files that TensorFlow Serving is started with."""

import pathlib
import re
import subprocess

import pytest

from examples.serving._server import _models_config
from tests.examples.serving.running import address, connect, place, start

FOLDER = pathlib.Path(__file__).parents[3] / "examples/serving"


def text(name):
    return (FOLDER / name).read_text("utf-8")


def settings(name):
    """Returns the lines of a file without its comments."""
    lines = (line.partition("#")[0].strip() for line in text(name).split("\n"))
    return [line for line in lines if line]


def models(content):
    config = _models_config.parse(content, "models.config")
    return list(config.model_config_list.config)


class TestModels:
    def test_serves_the_robot_arms(self):
        (model,) = models(text("models.config"))
        assert (model.name, model.base_path) == (
            "robot_arm",
            "/models/robot_arm",
        )
        assert model.model_platform == "tensorflow"
        assert model.model_version_policy.latest.num_versions == 2
        assert dict(model.version_labels) == {"stable": 1}

    def test_what_it_has_in_comments_can_be_used(self):
        commented = r"# (version_labels|config|}|  name|  base_path|  model_pl)"
        content = re.sub(commented, r"\1", text("models.config"))
        robot_arm, rooms = models(content)
        assert dict(robot_arm.version_labels) == {"stable": 1, "canary": 2}
        assert (rooms.name, rooms.base_path) == ("rooms", "/models/rooms")

    def test_starts_a_server(self, tmp_path, version_1):
        place(version_1, tmp_path / "robot_arm", 1)
        with start(
            model_config_file=FOLDER / "models.config",
            models_dir=tmp_path,
            allow_version_labels_for_unavailable_models=True,
        ) as server:
            with connect(
                server, "rest", model="robot_arm", label="stable"
            ) as client:
                assert client.metadata().version == 1
            # The check that compose.yaml makes.
            check = health_check().replace("8501", str(server.rest_api_port))
            assert run(check) == 0
            assert run(check.replace("robot_arm", "nope")) != 0
            host, port = address(server, "rest").split(":")
        assert run(check) != 0
        assert (host, port) == ("127.0.0.1", str(server.rest_api_port))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("nonsense", "must be a ModelServerConfig in text form"),
            ("", "must list models in model_config_list, at least one"),
            ("model_config_list {}", "must list models"),
            ('model_config_list { config { base_path: "/a" } }', "a name of"),
            (
                'model_config_list { config { name: "a" base_path: "/a" } '
                'config { name: "a" base_path: "/b" } }',
                "a name of its own",
            ),
            (
                'model_config_list { config { name: "a" base_path: "b" } }',
                "must give an absolute base_path",
            ),
        ],
    )
    def test_what_cannot_be_one(self, content, message):
        with pytest.raises(ValueError, match=f"'a.config' {message}|{message}"):
            _models_config.parse(content, "a.config")


def health_check():
    (command,) = re.findall(r">-\n((?: {10}.*\n)+)", text("compose.yaml"))
    return " ".join(line.strip() for line in command.splitlines())


def run(command):
    finished = subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=10, check=False
    )
    return finished.returncode


class TestBatching:
    def test_takes_ten_thousand_rows(self):
        found = dict(
            re.fullmatch(r"(\w+) { value: (\w+) }", line).groups()
            for line in settings("batching.config")
        )
        assert found.pop("enable_large_batch_splitting") == "true"
        values = {name: int(value) for name, value in found.items()}
        assert {*values} == {
            "max_batch_size",
            "max_execution_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
        }
        assert values["max_batch_size"] >= 10_000
        executions = (
            values["max_batch_size"] // values["max_execution_batch_size"]
        )
        assert executions <= values["max_enqueued_batches"]


def test_monitoring_is_for_prometheus():
    assert settings("monitoring.config") == [
        "prometheus_config {",
        "enable: true",
        'path: "/monitoring/prometheus/metrics"',
        "}",
    ]


class TestCompose:
    def test_mounts_what_the_flags_name(self):
        lines = settings("compose.yaml")
        mounts = dict(
            line.removeprefix("- ").removesuffix(":ro").split(":")
            for line in lines
            if line.endswith(":ro")
        )
        assert mounts == {"../../saved_models": "/models", ".": "/config"}
        assert (FOLDER / "../../saved_models").is_dir()
        flags = dict(
            line.removeprefix("- --").split("=")
            for line in lines
            if line.startswith("- --")
        )
        files = [value for value in flags.values() if "/" in value]
        assert len(files) == 3
        for file in files:
            assert (FOLDER / pathlib.Path(file).relative_to("/config")).exists()
        for name in (
            "allow_version_labels_for_unavailable_models",
            "enable_batching",
            "enable_model_warmup",
        ):
            assert flags[name] == "true"
        for name in ("file_system", "model_config_file"):
            assert int(flags[f"{name}_poll_wait_seconds"]) > 0

    def test_what_else_a_service_needs(self):
        content = text("compose.yaml")
        assert "image: tensorflow/serving:2.21.0\n" in content
        assert "restart: unless-stopped\n" in content
        for port in (8500, 8501):
            assert f'- "127.0.0.1:{port}:{port}"' in content
        assert "\t" not in content
        assert health_check().startswith("exec 3<>/dev/tcp/127.0.0.1/8501 &&")
