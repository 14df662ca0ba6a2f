"""Running many equal layers as one: N copies of a layer, one batched product.

`Template` makes copies of a layer, `Nodes` holds tensors of one shape,
`NamedNodes` gives them names, and `LayerStack` runs N copies on them: as one
batched product where the layer's kind allows it (`_kinds`), else as a loop
that gives the same numbers. Nothing here knows of tasks.
"""

from keras_selfaux._stacking._layer_stack import LayerStack
from keras_selfaux._stacking._named_nodes import NamedNodes
from keras_selfaux._stacking._nodes import Nodes
from keras_selfaux._stacking._template import Template

__all__ = ["LayerStack", "NamedNodes", "Nodes", "Template"]
