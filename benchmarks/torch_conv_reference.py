"""Dense prediction in plain PyTorch: what `keras_selfaux` is timed against.

A dilated ResNet-50 whose second half each task has for itself, DeepLab heads
and clones of them, as they are usually written: one module per head, a Python
loop over the clones, and Auto-Lambda with a two-sided finite difference.

    python torch_conv_reference.py --weighting=equal --num_steps=3
    python torch_conv_reference.py --check
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch_auto_lambda
from absl import app, flags
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = {"segmentation": 13, "depth": 1, "normals": 3}
IGNORED = -1
Labels = Mapping[str, Tensor]


class Block(nn.Module):
    """A bottleneck block with the stride, if any, in its first convolution.

    Args:
        channels: Number of input channels.
        width: Number of inner channels; there are four times as many outputs.
        stride: Stride of the first convolution.
        dilation: Dilation of the convolution of size 3.
    """

    def __init__(
        self, channels: int, width: int, stride: int, dilation: int
    ) -> None:
        """Creates the layers."""
        super().__init__()
        self.residual = nn.Sequential(
            *conv_unit(channels, width, 1, stride=stride),
            nn.ReLU(inplace=True),
            *conv_unit(width, width, 3, dilation=dilation),
            nn.ReLU(inplace=True),
            *conv_unit(width, 4 * width, 1),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != 4 * width:
            self.shortcut = nn.Sequential(
                *conv_unit(channels, 4 * width, 1, stride=stride)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        return functional.relu(self.residual(x) + self.shortcut(x))


class DeepLabHead(nn.Module):
    """Atrous spatial pyramid pooling and two convolutions, enlarged.

    Args:
        channels: Number of input channels.
        filters: Number of inner channels.
        num_outputs: Number of channels to predict.
        dropout: Fraction to drop.
    """

    def __init__(
        self, channels: int, filters: int, num_outputs: int, dropout: float
    ) -> None:
        """Creates the layers."""
        super().__init__()
        self.scales = nn.ModuleList(
            [nn.Sequential(*conv_unit(channels, filters, 1), nn.ReLU())]
        )
        for rate in (12, 24, 36):
            unit = conv_unit(channels, filters, 3, dilation=rate)
            self.scales.append(nn.Sequential(*unit, nn.ReLU()))
        self.pooled = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            *conv_unit(channels, filters, 1),
            nn.ReLU(),
        )
        self.projection = nn.Sequential(
            *conv_unit(5 * filters, filters, 1), nn.ReLU(), nn.Dropout(dropout)
        )
        self.predictor = nn.Sequential(
            *conv_unit(filters, filters, 3),
            nn.ReLU(),
            nn.Conv2d(filters, num_outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns predictions at the image's size."""
        scales = [scale(x) for scale in self.scales]
        scales.append(self.pooled(x).expand(-1, -1, *x.shape[2:]))
        outputs = self.predictor(self.projection(torch.cat(scales, dim=1)))
        return functional.interpolate(
            outputs, scale_factor=8, mode="bilinear", align_corners=False
        )


class Network(torch_auto_lambda.Network):
    """A shared trunk, a branch per task, a head per task and per clone.

    `heads[target][source]` is the clone of the source's head on the
    target's branch, and the primary head where they are one.

    Args:
        blocks: Number of residual blocks of the four groups.
        filters: Number of channels of the stem.
        head_filters: Number of inner channels of the heads.
        clones: Whether there are clones.
        dropout: Fraction that the heads drop.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        filters: int = 64,
        head_filters: int = 256,
        *,
        clones: bool = True,
        dropout: float = 0.5,
    ) -> None:
        """Creates the layers."""
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, filters, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
            *group(filters, filters, blocks[0], 1, 1),
            *group(4 * filters, 2 * filters, blocks[1], 2, 1),
        )
        self.branches = nn.ModuleDict(
            {
                task: nn.Sequential(
                    *group(8 * filters, 4 * filters, blocks[2], 1, 2),
                    *group(16 * filters, 8 * filters, blocks[3], 1, 4),
                )
                for task in OUTPUTS
            }
        )
        self.heads = nn.ModuleDict(
            {
                target: nn.ModuleDict(
                    {
                        source: DeepLabHead(
                            32 * filters, head_filters, outputs, dropout
                        )
                        for source, outputs in OUTPUTS.items()
                        if clones or source == target
                    }
                )
                for target in OUTPUTS
            }
        )

    @property
    def num_losses(self) -> int:
        """Number of heads, hence of losses."""
        return sum(len(heads) for heads in self.heads.values())

    def primary_parameters(self) -> Iterator[nn.Parameter]:
        yield from self.trunk.parameters()
        yield from self.branches.parameters()
        for task, heads in self.heads.items():
            yield from heads[task].parameters()

    def forward(self, x: Tensor, labels: Labels, edges: bool) -> Tensor:
        """Returns the losses in the order of (target, source)."""
        losses = []
        shared = self.trunk(x)
        for target, branch in self.branches.items():
            features = branch(shared)
            for source, head in self.heads[target].items():
                if edges or source == target:
                    prediction = head(features)
                    losses.append(LOSSES[source](prediction, labels[source]))
        return torch.stack(losses)


def conv_unit(
    channels: int,
    filters: int,
    size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
) -> list[nn.Module]:
    """Returns a convolution without bias and its batch normalisation."""
    padding = dilation * (size // 2)
    return [
        nn.Conv2d(
            channels,
            filters,
            size,
            stride,
            padding=padding,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(filters),
    ]


def group(
    channels: int, width: int, count: int, stride: int, dilation: int
) -> list[Block]:
    """Returns a group of residual blocks."""
    first = Block(channels, width, stride, dilation)
    return [
        first,
        *(Block(4 * width, width, 1, dilation) for _ in range(count - 1)),
    ]


def segmentation_loss(prediction: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the pixels that have a class."""
    return functional.cross_entropy(prediction, labels, ignore_index=IGNORED)


def depth_loss(prediction: Tensor, labels: Tensor) -> Tensor:
    """Absolute error over the pixels whose depth is known."""
    present = ~labels.isnan()
    errors = (prediction - labels.nan_to_num()).abs() * present
    return errors.sum() / present.sum().clamp(min=1)


def normals_loss(prediction: Tensor, labels: Tensor) -> Tensor:
    """Negative cosine of the angle, over the pixels with a normal."""
    present = ~labels.isnan().any(1)
    cosines = functional.cosine_similarity(prediction, labels.nan_to_num())
    return -(cosines * present).sum() / present.sum().clamp(min=1)


LOSSES = {
    "segmentation": segmentation_loss,
    "depth": depth_loss,
    "normals": normals_loss,
}


class TorchConvReference(torch_auto_lambda.Trainer):
    """Trains the network one step at a time.

    Args:
        weighting: `"auto_lambda"` or `"equal"` (every weight is 1).
        network: The network. Defaults to the full one with clones.
        learning_rate: Learning rate of SGD and of the virtual step.
        weight_learning_rate: Learning rate of Adam on the weights.
        initial_weight: Where Auto-Lambda's weights start.
    """

    def __init__(
        self,
        weighting: str = "auto_lambda",
        network: Network | None = None,
        *,
        learning_rate: float = 0.1,
        weight_learning_rate: float = 1e-4,
        initial_weight: float = 0.1,
    ) -> None:
        """Creates the weights and the optimizers."""
        network = Network() if network is None else network
        super().__init__(
            network,
            torch.optim.SGD(
                network.parameters(),
                lr=learning_rate,
                momentum=0.9,
                weight_decay=1e-4,
            ),
            network.num_losses,
            weighting,
            weight_learning_rate=weight_learning_rate,
            initial_weight=initial_weight,
        )


def make_batch(
    batch_size: int,
    height: int,
    width: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Draws images and labels, a tenth of the pixels without labels."""
    size = (batch_size, height, width)
    missing = torch.rand(size, generator=generator) < 0.1
    classes = torch.randint(
        OUTPUTS["segmentation"], size, generator=generator
    ).masked_fill(missing, IGNORED)

    def draw(channels: int) -> Tensor:
        shape = (batch_size, channels, height, width)
        return torch.randn(shape, generator=generator, dtype=dtype)

    normals = functional.normalize(draw(OUTPUTS["normals"]))
    return draw(3), {
        "segmentation": classes,
        "depth": draw(1).masked_fill(missing[:, None], torch.nan),
        "normals": normals.masked_fill(missing[:, None], torch.nan),
    }


def check(seed: int = 0) -> dict[str, float]:
    """Compares the hypergradient with automatic differentiation.

    Args:
        seed: Seed of the parameters and the data.

    Returns:
        The norm of the difference relative to that of the exact
        hypergradient, for a tiny network in float64.

    Raises:
        ValueError: If it exceeds 1e-4.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Network((1, 1, 1, 1), 4, 8, dropout=0.0).to(torch.float64)
    [error] = torch_auto_lambda.relative_errors(
        TorchConvReference(network=network, learning_rate=1e-3),
        *make_batch(2, 32, 32, generator, torch.float64),
        *make_batch(2, 32, 32, generator, torch.float64),
    )
    return {"relative_error": error}


def measure(
    weighting: str = "auto_lambda",
    num_steps: int = 3,
    *,
    clones: bool = True,
    batch_size: int = 2,
    height: int = 96,
    width: int = 128,
) -> dict[str, Any]:
    """Times training steps, after one to warm up, on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    reference = TorchConvReference(weighting, Network(clones=clones))
    data = make_batch(batch_size, height, width, generator)
    meta = make_batch(batch_size, height, width, generator)
    seconds = torch_auto_lambda.time_steps(
        reference, [(*data, *meta)], rounds=num_steps
    )
    return {
        "implementation": f"torch {torch.__version__}",
        "weighting": weighting,
        "clones": clones,
        "batch_size": batch_size,
        "height": height,
        "width": width,
    } | torch_auto_lambda.spread("s_per_step", seconds)


def define_flags() -> None:
    """Defines the script's flags; importing the module defines none."""
    flags.DEFINE_integer("num_steps", 3, "Timed steps.")
    flags.DEFINE_bool("clones", True, "Whether there are clones.")
    torch_auto_lambda.define_flags()


def main(argv: Sequence[str]) -> None:
    """Prints one line of JSON."""
    values = flags.FLAGS
    torch_auto_lambda.print_result(
        argv,
        check,
        lambda: measure(
            values.weighting, values.num_steps, clones=values.clones
        ),
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
