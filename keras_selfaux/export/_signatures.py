"""The signatures that are asked for, by name or as instances."""

from collections.abc import Iterable, Sequence

from keras_selfaux._checks import check_choice, error, is_iterable
from keras_selfaux.export._image_bytes import ImageBytes
from keras_selfaux.export._signature import Signature
from keras_selfaux.export._tf_examples import TFExamples

_BY_NAME = {"image_bytes": ImageBytes, "tf_examples": TFExamples}


def as_signatures(
    signatures: Iterable[str | Signature] | None,
) -> list[Signature]:
    """Returns signatures, of which those of the package may be names.

    Raises:
        ValueError: If one is unknown, or a name is there twice.
    """
    found = []
    if isinstance(signatures, str | Signature):
        signatures = [signatures]
    if signatures is not None and not is_iterable(signatures):
        raise error(
            "`signatures` must be a list.",
            received=f"signatures={signatures!r:.100}",
            remedy="Pass, say, ['image_bytes'].",
        )
    for given in () if signatures is None else signatures:
        if isinstance(given, str):
            check_choice("signatures", given, _BY_NAME)
        signature = _BY_NAME[given]() if isinstance(given, str) else given
        if not isinstance(signature, Signature):
            raise error(
                f"`signatures` must be names from {sorted(_BY_NAME)}, or "
                "instances of `export.Signature`.",
                received=f"{signature!r} among them",
                remedy="Pass, say, ['image_bytes'].",
            )
        found.append(signature)
    names = [signature.name for signature in found]
    if len({*names}) < len(names):
        raise error(
            "`signatures` must have a name each.",
            received=f"names {names}",
            remedy="Leave one out, or give it another `name`.",
        )
    return found


def check_names(tasks: Sequence[str], signatures: Sequence[Signature]) -> None:
    """Raises unless all signatures can have names of their own.

    Raises:
        ValueError: If a task or signature is called what the others or
            TensorFlow use.
    """
    reserved = {"serve", "serving_default", "variables"}
    reserved |= {"trainable_variables", "non_trainable_variables"}
    names = [*tasks, *(signature.name for signature in signatures)]
    for name in names:
        is_valid = name and not name.startswith("_") and name not in reserved
        if not is_valid or names.count(name) > 1:
            raise error(
                "Every task and every further signature is called by its "
                "name, which must be one of its own, without a leading "
                f"underscore and none of {sorted(reserved)}.",
                received=f"{name!r} among {names}",
                remedy="Give the task or signature another name.",
            )
