"""Two tasks of which the first can teach the second, but not the reverse.

Both depend on the same hidden features of the input, `|x @ direction|`, which
a network has to learn.

`source` has six outputs, mixtures of the features, and a label for every
sample: enough to learn the features from.

`target` is the sum of the features, and few samples have its label. Alone it
cannot learn the features, but it needs no others than `source`. Its values are
on a larger scale, so that its gradients outweigh those of `source` wherever
both meet, and what they ask for is largely to fit the few labels and their
noise: whatever `source` shares with `target`, it loses.
"""

import numpy as np

TASKS = ["source", "target"]
NUM_INPUTS = 8
NUM_FEATURES = 3
NUM_OUTPUTS = {"source": 6, "target": 1}
NUM_SAMPLES = {"train": 400, "validation": 400, "test": 2000}

Split = tuple[np.ndarray, dict[str, np.ndarray]]


def planted_case(
    seed: int,
    *,
    target_labels: int = 60,
    target_scale: float = 1.5,
    noise: float = 0.4,
) -> dict[str, Split]:
    """Returns the inputs and labels of each split.

    Args:
        seed: Draws directions, mixtures, samples and noise.
        target_labels: How many of the 400 training samples have a label of
            `target`; the others' is NaN.
        target_scale: The standard deviation of `target`; that of `source` is
            about 1.
        noise: The standard deviation of the noise in the labels of both, in
            all splits but the test split, which is without.
    """
    rng = np.random.default_rng(seed)
    square = rng.normal(size=(NUM_INPUTS, NUM_INPUTS))
    directions = np.linalg.qr(square)[0][:, :NUM_FEATURES]
    mixtures = rng.normal(size=(NUM_FEATURES, NUM_OUTPUTS["source"]))
    mixing = {
        "source": mixtures / np.sqrt(NUM_FEATURES),
        "target": np.full(
            (NUM_FEATURES, 1), target_scale / np.sqrt(NUM_FEATURES)
        ),
    }
    splits = {}
    for name, count in NUM_SAMPLES.items():
        x = rng.normal(size=(count, NUM_INPUTS))
        features = np.abs(x @ directions)
        # The mean and standard deviation of |z| for z of a normal distribution.
        features = (features - 0.798) / 0.603
        y = {task: features @ mixing[task] for task in TASKS}
        if name != "test":
            y = {t: v + noise * rng.normal(size=v.shape) for t, v in y.items()}
        if name == "train":
            y["target"][target_labels:] = np.nan
        splits[name] = (
            x.astype("float32"),
            {task: values.astype("float32") for task, values in y.items()},
        )
    return splits
