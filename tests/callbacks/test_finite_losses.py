import numpy as np
import pytest

from keras_selfaux.callbacks import FiniteLosses
from tests.integration.models import compile_model, make_data, make_model


def test_a_loss_that_is_not_finite_is_named() -> None:
    model = make_model("none")
    compile_model(model)
    x, y = make_data()
    y["b"][13] = np.inf  # a sample of the second batch
    message = r"tasks \['b'\] are not finite.*epoch 0, step 1"
    with pytest.raises(ValueError, match=message):
        model.fit(
            x,
            y,
            batch_size=12,
            shuffle=False,
            verbose=0,
            callbacks=[FiniteLosses()],
        )


def test_finite_losses_train_to_the_end() -> None:
    model = make_model("none")
    compile_model(model)
    model.fit(*make_data(), epochs=2, verbose=0, callbacks=[FiniteLosses()])
    assert int(model.optimizer.iterations) == 2
