"""Cityscapes: segmentation, part segmentation and disparity of streets."""

from keras_selfaux.datasets.cityscapes._datasets import load_cityscapes
from keras_selfaux.datasets.cityscapes._ids import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_PARTS,
)
from keras_selfaux.datasets.cityscapes.cityscapes_tasks_dataset_builder import (
    CityscapesTasks,
    CityscapesTasksConfig,
)

__all__ = [
    "CITYSCAPES_CLASSES",
    "CITYSCAPES_PARTS",
    "CityscapesTasks",
    "CityscapesTasksConfig",
    "load_cityscapes",
]
