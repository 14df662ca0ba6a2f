"""Chlorophyll from the reflectance of water: one task per region."""

from keras_selfaux.datasets.gloria._arrays import load_gloria
from keras_selfaux.datasets.gloria.gloria_dataset_builder import Gloria

__all__ = ["Gloria", "load_gloria"]
