"""A search to be killed or shared: `python search_script.py FOLDER LOG`.

Every network that is begun or has ended is a line of the log.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import keras

from keras_selfaux import discovery
from tests.discovery.networks import TASKS, build_model, make_data


def note(path: str, line: str) -> None:
    # Short appended lines of several processes do not mix.
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def main(folder: str, log: str) -> None:
    def build(tasks: list[str]) -> keras.Model:
        model = build_model(tasks)
        fit, name = model.fit, "/".join(tasks)

        def noted_fit(*arguments, **options):
            note(log, f"begin {name}")
            history = fit(*arguments, **options)
            note(log, f"end {name}")
            return history

        model.__dict__["fit"] = noted_fit
        return model

    gains = discovery.enumerate_transfer(
        build,
        TASKS,
        make_data(),
        make_data(9, seed=1),
        epochs=3,
        strategy="tuner",
        directory=folder,
        verbose=False,
    )
    if gains is not None:
        gains.to_json(pathlib.Path(folder) / "gains.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
