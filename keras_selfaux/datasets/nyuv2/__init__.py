"""NYUv2: segmentation, depth and surface normals of rooms."""

from keras_selfaux.datasets.nyuv2._datasets import load_nyuv2
from keras_selfaux.datasets.nyuv2.nyuv2_dataset_builder import (
    NYUV2_CLASSES,
    NYUv2,
    NYUv2Config,
)

__all__ = ["NYUV2_CLASSES", "NYUv2", "NYUv2Config", "load_nyuv2"]
