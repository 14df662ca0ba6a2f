"""Three robot arms that learn from each other, in a plain Keras script.

python examples/quickstart.py
"""

import keras
import numpy as np

import keras_selfaux
from keras_selfaux import export
from keras_selfaux.datasets import load_robot_arm

keras.utils.set_random_seed(0)
data = load_robot_arm(num_tasks=3)  # a task per arm: angles from a position
x, y = data["train"]

# Two layers that all arms share, a branch of one layer per arm, and a head.
encoder = keras_selfaux.layers.BranchedEncoder(
    [keras.layers.Dense(32, "relu") for _ in range(3)], paths=2
)
heads = {task: keras.layers.Dense(3) for task in y}
model = keras_selfaux.SelfAuxModel(encoder, heads, auxiliaries="all")

# Auto-Lambda learns on held-out data how much each arm should teach another.
model.compile("adam", loss="mse", weighting="auto_lambda")
model.fit(
    x,
    y,
    epochs=20,
    validation_data=data["validation"],
    meta_data=data["validation"],
    verbose=2,
)
model.summary()
print("Test:", model.evaluate(*data["test"], verbose=0, return_dict=True))
for (source, target), weight in model.task_weights.items():
    print(f"{source} -> {target}: {weight:.4f}")

# The export has no clones; every run writes a version of its own.
path = export.write_servable(model, "saved_models/quickstart")
print(export.verify_servable(path, model))

served = keras.layers.TFSMLayer(path, call_endpoint="serve")
answer = served(data["test"][0][:1])
for task in heads:
    print(f"{task}: angles {np.asarray(answer[task][0]).round(2)}")
