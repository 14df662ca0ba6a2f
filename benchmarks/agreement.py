"""How far do cheap estimates agree with gains from enumeration?

Compares files that examples/discover.py writes, entry by entry off the
diagonal, and prints JSON: Spearman's rank correlation over all pairs of tasks
and, as a mean, within each target's sources and each source's targets; how
often the two agree on whether an edge helps; and, for scale, the correlation
of the enumeration with itself, halves of its seeds against each other.

  python examples/discover.py --seeds=0,1,2,3,4
  python examples/discover.py --strategy=affinity --output_dir=results/affinity
  python benchmarks/agreement.py --gains=results/discover/gains.json \
      --estimates=results/affinity/gains.json
"""

import itertools
import json
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags
from scipy import stats

from keras_selfaux.discovery import TransferGains

GAINS = flags.DEFINE_string("gains", None, "File of the enumeration's gains.")
ESTIMATES = flags.DEFINE_list("estimates", None, "Files of other gains.")
flags.mark_flags_as_required(["gains", "estimates"])


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns Spearman's correlation of what both know."""
    known = np.isfinite(one) & np.isfinite(other)
    return float(stats.spearmanr(one[known], other[known]).statistic)


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Returns the entries off the diagonal, `(T, T - 1)`."""
    count = len(matrix)
    apart = ~np.eye(count, dtype=bool)
    return matrix[apart].reshape(count, count - 1)


def agreement(gains: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """Compares two matrices [target, source]."""
    one, other = off_diagonal(gains), off_diagonal(estimate)
    columns = off_diagonal(gains.T), off_diagonal(estimate.T)
    found = {
        "all_pairs": correlation(one.ravel(), other.ravel()),
        "within_targets": np.mean(list(map(correlation, one, other))),
        "within_sources": np.mean(list(map(correlation, *columns))),
        "same_sign": np.mean((one > 0) == (other > 0)),
    }
    return {name: round(float(value), 3) for name, value in found.items()}


def of_halves(gains: TransferGains) -> dict[str, float]:
    """Compares an enumeration with itself: means over halves of its seeds."""
    seeds = range(len(gains.by_seed))
    size = len(seeds) // 2
    found = []
    for half in itertools.combinations(seeds, size):
        rest = [seed for seed in seeds if seed not in half][:size]
        one, other = (
            gains.by_seed[list(part)].mean(axis=0) for part in (half, rest)
        )
        found.append(agreement(one, other))
    return {
        name: round(float(np.mean([of_split[name] for of_split in found])), 3)
        for name in found[0]
    }


def main(_: list[str]) -> None:
    """Prints the comparison."""
    gains = TransferGains.from_json(GAINS.value)
    helps = off_diagonal(gains.mean) > 0
    results: dict[str, Any] = {"share_that_helps": round(helps.mean(), 3)}
    if len(gains.by_seed) > 1:
        results["halves_of_the_seeds"] = of_halves(gains)
    for path in ESTIMATES.value:
        estimate = TransferGains.from_json(path)
        results[path] = agreement(gains.mean, estimate.mean)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    app.run(main)
