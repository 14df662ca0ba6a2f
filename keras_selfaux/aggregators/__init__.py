"""Rules that turn the gradients of several tasks into one update.

An aggregator takes the K rows of a step, one task's gradient each, and
returns what takes the place of their sum. All are on the scale of that sum:
K equal rows give K times the row, so that changing the aggregator does not
change the learning rate (`CAGrad` alone gives (1 + c) / (1 + c²) as much).
A task without labels in a batch is left out of it.

| name                   | class               | source             |
|------------------------|---------------------|--------------------|
| `"pcgrad"`             | `PCGrad`            | arXiv 2001.06782   |
| `"gradvac"`            | `GradVac`           | arXiv 2010.05874   |
| `"cagrad"`             | `CAGrad`            | arXiv 2110.14048   |
| `"mgda"`               | `MGDA`              | arXiv 1810.04650   |
| `"impartial_gradient"` | `ImpartialGradient` | ICLR 2021 (IMTL-G) |
| `"nash_mtl"`           | `NashMTL`           | arXiv 2202.01017   |
| `"aligned_mtl"`        | `AlignedMTL`        | arXiv 2305.19000   |
| `"fair_grad"`          | `FairGrad`          | arXiv 2402.15638   |
| `"upgrad"`             | `UPGrad`            | arXiv 2406.16232   |
| `"dual_projection"`    | `DualProjection`    | arXiv 1706.08840   |
| `"config"`             | `ConFIG`            | arXiv 2408.11104   |
| `"krum"`               | `Krum`              | arXiv 1703.02757   |
| `"grad_drop"`          | `GradDrop`          | arXiv 2010.06808   |
| `"trimmed_mean"`       | `TrimmedMean`       | arXiv 1803.01498   |
| `"db_mtl"`             | `DBMTL`             | arXiv 2308.12029   |
| `"moco"`               | `MoCo`              | arXiv 2210.12624   |

All but the last four need no more than the rows' inner products: they have
`weights(gramian)`, and take `rows="features"`.

>>> keras_selfaux.aggregators.get("mgda").name
'mgda'
"""

from typing import Any

import keras

from keras_selfaux._registry import resolve
from keras_selfaux.aggregators._aligned_mtl import AlignedMTL
from keras_selfaux.aggregators._base import (
    Aggregator,
    Coefficients,
    GramianAggregator,
)
from keras_selfaux.aggregators._cagrad import CAGrad
from keras_selfaux.aggregators._con_fig import ConFIG
from keras_selfaux.aggregators._db_mtl import DBMTL
from keras_selfaux.aggregators._dual_projection import DualProjection
from keras_selfaux.aggregators._fair_grad import FairGrad
from keras_selfaux.aggregators._grad_drop import GradDrop
from keras_selfaux.aggregators._gradvac import GradVac
from keras_selfaux.aggregators._impartial_gradient import ImpartialGradient
from keras_selfaux.aggregators._krum import Krum
from keras_selfaux.aggregators._mgda import MGDA
from keras_selfaux.aggregators._moco import MoCo
from keras_selfaux.aggregators._nash_mtl import NashMTL
from keras_selfaux.aggregators._pcgrad import PCGrad
from keras_selfaux.aggregators._trimmed_mean import TrimmedMean
from keras_selfaux.aggregators._upgrad import UPGrad

__all__ = [
    "DBMTL",
    "MGDA",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "Coefficients",
    "ConFIG",
    "DualProjection",
    "FairGrad",
    "GradDrop",
    "GradVac",
    "GramianAggregator",
    "ImpartialGradient",
    "Krum",
    "MoCo",
    "NashMTL",
    "PCGrad",
    "TrimmedMean",
    "UPGrad",
    "deserialize",
    "get",
    "serialize",
]

_NAMES = {
    "pcgrad": PCGrad,
    "gradvac": GradVac,
    "cagrad": CAGrad,
    "mgda": MGDA,
    "impartial_gradient": ImpartialGradient,
    "nash_mtl": NashMTL,
    "aligned_mtl": AlignedMTL,
    "fair_grad": FairGrad,
    "upgrad": UPGrad,
    "dual_projection": DualProjection,
    "config": ConFIG,
    "krum": Krum,
    "grad_drop": GradDrop,
    "trimmed_mean": TrimmedMean,
    "db_mtl": DBMTL,
    "moco": MoCo,
    # Other spellings in use.
    "pc_grad": PCGrad,
    "grad_vac": GradVac,
    "ca_grad": CAGrad,
    "imtl_g": ImpartialGradient,
    "nash": NashMTL,
    "fairgrad": FairGrad,
    "up_grad": UPGrad,
    "dual_proj": DualProjection,
    "con_fig": ConFIG,
    "dbmtl": DBMTL,
    "mo_co": MoCo,
    "graddrop": GradDrop,
}


def get(identifier: Any) -> Aggregator | None:
    """Returns an aggregator from a name, a config dict or an instance.

    Args:
        identifier: A name such as `"mgda"`, a dict made by `serialize`, an
            `Aggregator`, or `None`, which stays `None`.

    Raises:
        ValueError: If there is no such aggregator.
    """
    if identifier is None:
        return None
    found: Aggregator = resolve(
        identifier, argument="aggregator", base=Aggregator, names=_NAMES
    )
    return found


def serialize(aggregator: Aggregator) -> dict[str, Any]:
    """Returns an aggregator's config dict, without its state."""
    config: dict[str, Any] = keras.saving.serialize_keras_object(aggregator)
    return config


def deserialize(config: dict[str, Any]) -> Aggregator:
    """Returns the aggregator that `serialize` described."""
    found: Aggregator = resolve(
        config, argument="aggregator", base=Aggregator, names=_NAMES
    )
    return found
