"""Data for multi-task learning, as TensorFlow Datasets and as arrays.

Importing this package makes its data sets known to `tfds.load`:

```python
import keras_selfaux.datasets
import tensorflow_datasets as tfds

train = tfds.load("robot_arm/arms_10", split="train")
```

`load_robot_arm` gives the same data as arrays, with one entry of labels per
task, which is what `SelfAuxModel.fit` takes. `labels_per_task` makes such
labels from any data in which every sample belongs to one task: NaN stands for
a label that is missing.
"""

from keras_selfaux.datasets._labels import labels_per_task
from keras_selfaux.datasets.robot_arm import (
    RobotArm,
    RobotArmConfig,
    load_robot_arm,
)

__all__ = ["RobotArm", "RobotArmConfig", "labels_per_task", "load_robot_arm"]
