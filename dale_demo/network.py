"""A compact, class-conditional U-Net that predicts ln x₀, preconditioned in log space."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dale_demo.checks import check_float, check_int, shown
from dale_demo.preconditioning import Preconditioning
from dale_demo.process import GeometricBrownianMotion, expand_as
from dale_demo.score import LogDenoiser, Score, from_denoiser, guided

MIN_NOISE_LEVEL, MAX_NOISE_LEVEL = 0.002, 20.0
"""The range of noise levels that networks are trained for."""
MIN_SIZE, MAX_SIZE = 4, 4096
"""Smallest image in pixels, and largest size or count in a network: a guard against a damaged or
hostile configuration."""
MAX_LEVELS = 8
CHANNELS = (1, 3)
GROUPS = 16
"""Number of groups of every group norm."""
HEAD_CHANNELS = 32
"""Channels of an attention head, where there are as many."""


@dataclass(frozen=True)
class UNetConfig:
    """Everything needed to rebuild a `Denoiser`, apart from its weights.

    Args:
        image_size: Height and width of an image in pixels, at least 4.
        image_channels: 1 for grey, 3 for colour.
        num_classes: Number of classes, without the null class.
        patch: Side of the pixel blocks folded into channels at the input (1, 2, 4).
        width: Channels at the first level.
        multipliers: Channels of each level, in multiples of `width`; each level halves the size.
        dropout: Share of features dropped in training, in [0, 0.99].
        log_mean: Mean of ln x₀ over the training data, in [−100, 100].
        log_std: s_d, standard deviation of ln x₀ over the training data, in [10⁻⁶, 100].

    Raises:
        ValueError: The values do not describe a network.
    """

    image_size: int = 28
    image_channels: int = 1
    num_classes: int = 10
    patch: int = 2
    width: int = 48
    multipliers: tuple[int, ...] = (1, 2)
    dropout: float = 0.0
    log_mean: float = 0.095
    log_std: float = 0.219

    def __post_init__(self) -> None:
        if not isinstance(self.multipliers, list | tuple) or not (
            1 <= len(self.multipliers) <= MAX_LEVELS
        ):
            raise ValueError(f"A network needs a list of 1 to {MAX_LEVELS} multipliers.")
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        check_int("image_size", self.image_size, MIN_SIZE, MAX_SIZE)
        if type(self.image_channels) is not int or self.image_channels not in CHANNELS:
            raise ValueError(f"image_channels must be 1 or 3, got {shown(self.image_channels)}.")
        for name in ("num_classes", "patch", "width"):
            check_int(name, getattr(self, name), 1, MAX_SIZE)
        for multiplier in self.multipliers:
            check_int("Each of the multipliers", multiplier, 1, MAX_SIZE)
        if self.width % GROUPS:
            raise ValueError(f"width must be divisible by {GROUPS}, got {self.width}.")
        factor = self.patch * 2 ** (len(self.multipliers) - 1)
        if self.image_size % factor:
            raise ValueError(f"image_size {self.image_size} is not divisible by {factor}.")
        if self.image_size == factor and self.width * self.multipliers[-1] == GROUPS:
            raise ValueError(f"A level of one pixel needs more than {GROUPS} channels.")
        check_float("dropout", self.dropout, 0, 0.99)
        # Pixels lie in [0, 1] and ln x₀ with them, so that these bounds are generous.
        check_float("log_mean", self.log_mean, -100, 100)
        check_float("log_std", self.log_std, 1e-6, 100)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, [C, H, W]."""
        return self.image_channels, self.image_size, self.image_size


class Denoiser(nn.Module):
    """D(u, s) = E[ln X₀ | X_t] with u = ln x − m(t): one network for every (μ, σ, T).

    A U-Net F of c_in (u − ȳ), ¼ ln s and the label; see `Preconditioning`.

    Its buffers hold the statistics of the training data from which sampling starts:
    `class_averages` [num_classes, C, H, W], the mean positive image of each class, and `log_means`
    and `log_stds` [num_classes + 1, C, H, W], the mean and standard deviation of ln x₀ at each
    pixel, by label, the null label last.

    The U-Net runs in bfloat16 on a GPU, and on a CPU if `bf16` is set.
    """

    class_averages: Tensor
    log_means: Tensor
    log_stds: Tensor

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.preconditioning = Preconditioning(config.log_mean, config.log_std)
        self.unet = UNet(config)
        self.bf16 = False
        averages = torch.zeros(config.num_classes, *config.image_shape)
        self.register_buffer("class_averages", averages)
        for name in ("log_means", "log_stds"):
            moments = torch.zeros(config.num_classes + 1, *config.image_shape)
            self.register_buffer(name, moments)

    @property
    def null_label(self) -> int:
        """The label that means "no class": −1 is mapped to it too."""
        return self.config.num_classes

    def forward(self, u: Tensor, noise_level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Estimate ln x₀.

        Args:
            u: Log state without its drift, [B, C, H, W], any float dtype.
            noise_level: s [B] or [], clamped to the range that networks are trained for.
            labels: Class of each sample, int64 [B] in [−1, num_classes]; −1 and None mean no class.

        Returns:
            D [B, C, H, W], float32.
        """
        s = noise_level.to(u.device).expand(len(u)).clamp(MIN_NOISE_LEVEL, MAX_NOISE_LEVEL)
        if labels is None:
            labels = torch.full((len(u),), self.null_label, device=u.device)
        labels = torch.where(labels < 0, self.null_label, labels)
        around, s_pixel = self.preconditioning, expand_as(s, u)
        with torch.autocast(u.device.type, torch.bfloat16, enabled=u.is_cuda or self.bf16):
            answer = self.unet(around.scaled(u, s_pixel).float(), (s.log() / 4).float(), labels)
        return around.estimate(answer.float(), u, s_pixel).float()

    def noised_moments(self, labels: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of u at each pixel, where data are noised to `noise_level`.

        The variances of ln x₀ at a pixel and of the noise, s², add.

        Args:
            labels: Classes [B] of the data, −1 for no class.
            noise_level: s [].

        Returns:
            Both float64 [B, C, H, W].
        """
        rows = torch.where(labels < 0, self.null_label, labels)
        return self.log_means[rows].double(), torch.hypot(self.log_stds[rows].double(), noise_level)

    def log_denoiser(self, labels: Tensor | None = None) -> LogDenoiser:
        """Bind the labels [B] (None: no class), leaving a callable (u, s) → D."""
        return lambda u, s: self(u, s, labels)

    def score(
        self, process: GeometricBrownianMotion, labels: Tensor | None = None, guidance: float = 1.0
    ) -> Score:
        """The Hyvärinen score of `process` for `labels` [B], with classifier-free guidance."""
        conditional = from_denoiser(self.log_denoiser(labels), process)
        if labels is None:
            return conditional
        return guided(conditional, from_denoiser(self.log_denoiser(), process), guidance)


class UNet(nn.Module):
    """F(x, noise, label): residual blocks at falling sizes, attention at the smallest, and back."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        widths = [config.width * m for m in config.multipliers]
        embedding = 4 * config.width
        pixels = config.image_channels * config.patch**2
        self.patch = config.patch
        self.embed = Embedding(config.num_classes + 1, config.width, embedding)
        self.first = nn.Conv2d(pixels, widths[0], 3, padding=1)

        def block(inputs: int, outputs: int) -> ResidualBlock:
            return ResidualBlock(inputs, outputs, embedding, config.dropout)

        before = [widths[0], *widths[:-1]]
        self.down = nn.ModuleList(block(a, b) for a, b in zip(before, widths, strict=True))
        self.middle = nn.ModuleList([block(widths[-1], widths[-1]), Attention(widths[-1])])
        self.up = nn.ModuleList(block(2 * b, a) for a, b in zip(before, widths, strict=True))
        self.last = nn.Sequential(
            nn.GroupNorm(GROUPS, widths[0]),
            nn.SiLU(),
            zero_initialised(nn.Conv2d(widths[0], pixels, 3, padding=1)),
        )

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        """`x` [B, C, H, W], `noise` and `labels` [B] → [B, C, H, W]."""
        condition = self.embed(noise, labels)
        h = F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        h = self.first(h)
        skips = []
        for level, block in enumerate(self.down):
            h = block(F.avg_pool2d(h, 2) if level else h, condition)
            skips.append(h)
        block, attention = self.middle
        h = attention(block(h, condition))
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, skips[level]], 1), condition)
            h = F.interpolate(h, scale_factor=2.0) if level else h
        return F.pixel_shuffle(self.last(h), self.patch)


class Embedding(nn.Module):
    """Noise level and class → a vector [B, embedding] that modulates every block."""

    frequencies: Tensor

    def __init__(self, num_labels: int, features: int, embedding: int):
        super().__init__()
        frequencies = torch.exp(
            torch.linspace(0, math.log(100), features // 2, device="cpu")  # see `outline`
        )
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.label = nn.Embedding(num_labels, embedding)
        self.hidden = nn.Linear(features, embedding)
        self.out = nn.Linear(embedding, embedding)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """`noise` = ¼ ln s [B] and `labels` [B] → [B, embedding]."""
        return F.silu(self.out(F.silu(self.hidden(self.waves(noise)) + self.label(labels))))

    def waves(self, noise: Tensor) -> Tensor:
        """Cosines, then sines, of `noise` [B] times each frequency, [B, features]."""
        phase = noise.unsqueeze(1) * self.frequencies
        return torch.cat([phase.cos(), phase.sin()], 1)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions, the second modulated by the condition (adaptive group norm)."""

    def __init__(self, inputs: int, outputs: int, embedding: int, dropout: float):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero_initialised(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`x` [B, inputs, H, W], `condition` [B, embedding] → [B, outputs, H, W]."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale))
        return self.skip(x) + self.conv2(self.dropout(h))


class Attention(nn.Module):
    """Multi-head self-attention over all positions, as a residual."""

    def __init__(self, channels: int, head_channels: int = HEAD_CHANNELS):
        super().__init__()
        most = max(1, channels // head_channels)
        self.heads = next(n for n in range(most, 0, -1) if channels % n == 0)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero_initialised(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, C, H, W] → the same shape."""
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).permute(0, 2, 3, 1)
        q, k, v = qkv.reshape(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out: for so few positions, the fused kernel of `scaled_dot_product_attention`
        # trains three times slower in bfloat16.
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1)
        h = (weights @ v).transpose(1, 2).reshape(batch, height, width, channels)
        h = h.permute(0, 3, 1, 2)
        return x + self.out(h)


def zero_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a residual branch at zero, so that the block begins as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def outline(config: UNetConfig) -> Denoiser:
    """A network whose tensors have shapes and no memory, whatever size `config` claims."""
    with torch.device("meta"), _NoInitialisation():
        return Denoiser(config)


class _NoInitialisation(TorchFunctionMode):
    """Skip the initialisation of layers.

    On the meta device PyTorch computes random numbers and exponentials by Python code, for which it
    imports its compiler: seconds, once in a process, for numbers that nobody reads.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)
