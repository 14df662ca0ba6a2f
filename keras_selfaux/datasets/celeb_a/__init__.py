"""CelebA: attributes of faces, one task each."""

from keras_selfaux.datasets.celeb_a._datasets import (
    CELEB_A_ATTRIBUTES,
    celeb_a_attributes,
    load_celeb_a,
)

__all__ = ["CELEB_A_ATTRIBUTES", "celeb_a_attributes", "load_celeb_a"]
