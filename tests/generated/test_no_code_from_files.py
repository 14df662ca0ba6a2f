"""Nothing in the package or the examples runs what a file holds."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("keras_selfaux", "examples")
    for path in (ROOT / folder).rglob("*.py")
)

# They run what they read, or can.
MODULES = {
    "_pickle",
    "builtins",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "pickle",
    "runpy",
    "shelve",
    "yaml",
}
FUNCTIONS = {
    "__import__",
    "enable_unsafe_deserialization",
    "eval",
    "exec",
    "func_load",
    "py_function",
    "read_pickle",
}
ARGUMENTS = {"allow_pickle": False, "safe_mode": True, "shell": False}
"""What these arguments must be where they are given."""


def _findings(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
            found += sorted(names & MODULES)
        elif isinstance(node, ast.ImportFrom):
            found += sorted({(node.module or "").split(".")[0]} & MODULES)
        elif isinstance(node, ast.Call):
            function = node.func
            name = getattr(function, "id", getattr(function, "attr", ""))
            if name in FUNCTIONS:
                found.append(name)
            found += [
                f"{keyword.arg} is not {ARGUMENTS[keyword.arg]}"
                for keyword in node.keywords
                if keyword.arg in ARGUMENTS
                and getattr(keyword.value, "value", None)
                is not ARGUMENTS[keyword.arg]
            ]
    return found


def test_no_file_unpickles_or_evaluates() -> None:
    assert len(FILES) > 200
    found = {
        str(path.relative_to(ROOT)): findings
        for path in FILES
        if (findings := _findings(ast.parse(path.read_text("utf-8"))))
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from dill import loads",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "keras.models.load_model(p, safe_mode=False)",
        "eval(text)",
        "exec(text)",
        "__builtins__.eval(text)",
        "import builtins\nbuiltins.getattr(x, y)(text)",
        "marshal.loads(x)\nimport marshal",
        "keras.config.enable_unsafe_deserialization()",
        "subprocess.run(text, shell=True)",
        "np.load(f, allow_pickle=flag)",
    ],
)
def test_what_would_is_found(code: str) -> None:
    assert _findings(ast.parse(code))
