"""Rendered rooms: segmentation, depth and surface normals."""

from keras_selfaux.datasets.rooms._load import load_rooms
from keras_selfaux.datasets.rooms._scene import ROOM_CLASSES
from keras_selfaux.datasets.rooms.rooms_dataset_builder import (
    Rooms,
    RoomsConfig,
)

__all__ = ["ROOM_CLASSES", "Rooms", "RoomsConfig", "load_rooms"]
