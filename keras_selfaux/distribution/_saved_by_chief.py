"""Models that one worker saves."""

from typing import Any

import keras

from keras_selfaux.distribution._chief import is_chief


class SavedByChief(keras.Model):
    """A model whose files the chief writes; other workers write nothing.

    So `ModelCheckpoint` may be given to all workers with one path. Nothing
    is exchanged for it: a call on the chief alone is fine as well. Other
    workers do not wait until the file is there.
    """

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model, on the chief; see `keras.Model.save`."""
        if is_chief(self.distribute_strategy):
            super().save(filepath, *args, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the weights, on the chief; see `keras.Model.save_weights`."""
        if is_chief(self.distribute_strategy):
            super().save_weights(filepath, *args, **kwargs)
