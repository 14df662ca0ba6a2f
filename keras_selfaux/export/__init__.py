"""Models for those who serve them, without what only training needed.

`write_servable` writes a model as a numbered version in TensorFlow's
SavedModel format, in the layout that TensorFlow Serving watches, with a
signature per task, warm-up requests, and a note on what it is:

```python
from keras_selfaux import export

path = export.write_servable(
    model, "served/rooms", examples=images[:8], signatures=["image_bytes"]
)
print(export.verify_servable(path, model))
```

`verify_servable` reads it as a server would, and says what it found, as does
`python -m keras_selfaux.export.verify served/rooms/1`. `write_litert` and
`write_onnx` write one file for other runtimes, tried there before it appears:

```python
export.write_litert(
    model, "depth.tflite", images, tasks=["depth"], quantization="int8"
)
```
"""

from keras_selfaux.export._image_bytes import ImageBytes
from keras_selfaux.export._litert import write_litert
from keras_selfaux.export._onnx import write_onnx
from keras_selfaux.export._servable import write_servable
from keras_selfaux.export._servable_report import ServableReport
from keras_selfaux.export._signature import Signature
from keras_selfaux.export._tf_examples import TFExamples
from keras_selfaux.export._verify import verify_servable

__all__ = [
    "ImageBytes",
    "ServableReport",
    "Signature",
    "TFExamples",
    "verify_servable",
    "write_litert",
    "write_onnx",
    "write_servable",
]
