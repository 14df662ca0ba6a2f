"""Data for multi-task learning, as TensorFlow Datasets and as arrays.

Importing this package makes its data sets known to `tfds.load`:

```python
import keras_selfaux.datasets
import tensorflow_datasets as tfds

train = tfds.load("robot_arm/arms_10", split="train")
```

`load_robot_arm` gives the same data as arrays, with one entry of labels per
task, which is what `SelfAuxModel.fit` takes, and so does `load_gloria`.
`labels_per_task` makes such labels from any data in which every sample belongs
to one task: NaN stands for a label that is missing.

`load_rooms`, `load_nyuv2`, `load_cityscapes` and `load_celeb_a` give images
with labels, as `tf.data.Dataset` of single examples, of which
`datasets.pipeline` makes batches. Rooms are rendered; what cannot be
downloaded has to be fetched by hand, and the error without it says what to
get, and where to put it.
"""

from keras_selfaux.datasets import pipeline
from keras_selfaux.datasets._labels import labels_per_task
from keras_selfaux.datasets.celeb_a import (
    CELEB_A_ATTRIBUTES,
    celeb_a_attributes,
    load_celeb_a,
)
from keras_selfaux.datasets.cityscapes import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_PARTS,
    CityscapesTasks,
    CityscapesTasksConfig,
    load_cityscapes,
)
from keras_selfaux.datasets.gloria import Gloria, load_gloria
from keras_selfaux.datasets.nyuv2 import (
    NYUV2_CLASSES,
    NYUv2,
    NYUv2Config,
    load_nyuv2,
)
from keras_selfaux.datasets.robot_arm import (
    RobotArm,
    RobotArmConfig,
    load_robot_arm,
)
from keras_selfaux.datasets.rooms import (
    ROOM_CLASSES,
    Rooms,
    RoomsConfig,
    load_rooms,
)

__all__ = [
    "CELEB_A_ATTRIBUTES",
    "CITYSCAPES_CLASSES",
    "CITYSCAPES_PARTS",
    "NYUV2_CLASSES",
    "ROOM_CLASSES",
    "CityscapesTasks",
    "CityscapesTasksConfig",
    "Gloria",
    "NYUv2",
    "NYUv2Config",
    "RobotArm",
    "RobotArmConfig",
    "Rooms",
    "RoomsConfig",
    "celeb_a_attributes",
    "labels_per_task",
    "load_celeb_a",
    "load_cityscapes",
    "load_gloria",
    "load_nyuv2",
    "load_robot_arm",
    "load_rooms",
    "pipeline",
]
