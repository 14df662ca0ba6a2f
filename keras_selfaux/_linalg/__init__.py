"""Small solvers for the Gramian of task gradients.

They run inside a graph, compiled by XLA or not, in float64. A Gramian is
K x K, for K gradients; a mask says which of them are present, and the others
are left out as if the problem had been posed without them.
"""

from keras_selfaux._linalg._cone import cone_weights
from keras_selfaux._linalg._conflict_averse import conflict_averse_weights
from keras_selfaux._linalg._fair import fair_weights
from keras_selfaux._linalg._min_norm import min_norm_weights
from keras_selfaux._linalg._simplex import project_to_simplex
from keras_selfaux._linalg._solution import Solution
from keras_selfaux._linalg._spectrum import pseudo_solve, spectrum

__all__ = [
    "Solution",
    "cone_weights",
    "conflict_averse_weights",
    "fair_weights",
    "min_norm_weights",
    "project_to_simplex",
    "pseudo_solve",
    "spectrum",
]
