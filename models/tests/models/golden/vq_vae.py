"""Makes vq_vae.safetensors (a checkpoint, written by the format's description alone) and vq_vae.golden.safetensors: images of
symbols, PyTorch's vectors of the encoder, codes, parameters and nats, and the gradient of the mean loss of a pixel by its
autograd, by the convolutions and the pixel shuffle of its own.

    pip install torch && python3 vq_vae.py
"""
import json

import torch
from torch.nn import functional as F

from files import save

HEIGHT, WIDTH, CLASSES, CODES, DIM, CHANNELS, BLOCKS, IMAGES, COMMITMENT = 8, 12, 6, 12, 5, 10, 2, 3, 0.25

torch.manual_seed(2017)
torch.set_default_dtype(torch.float64)


def layer(inputs, outputs, kernel):
    """Weight [out, in, k, k] and bias, of 32-bit values."""
    weight = torch.randn(outputs, inputs, kernel, kernel) * 1.5 / (inputs * kernel**2) ** 0.5
    return [p.float().double().requires_grad_() for p in (weight, torch.randn(outputs) * 0.3)]


def blocks(of):
    each = lambda i: {f"{of}.block.{i}.spatial": layer(CHANNELS, CHANNELS, 3), f"{of}.block.{i}.pointwise": layer(CHANNELS, CHANNELS, 1)}
    return {k: v for i in range(BLOCKS) for k, v in each(i).items()}


layers = {
    "encoder.down.0": layer(CLASSES, CHANNELS, 4),
    "encoder.down.1": layer(CHANNELS, CHANNELS, 4),
    **blocks("encoder"),
    "encoder.out": layer(CHANNELS, DIM, 1),
    "decoder.in": layer(DIM, CHANNELS, 3),
    **blocks("decoder"),
    "decoder.up.0": layer(CHANNELS, 4 * CHANNELS, 3),
    "decoder.up.1": layer(CHANNELS, 4 * CLASSES, 3),
}
codes = (torch.randn(CODES, DIM) * 0.6).float().double().requires_grad_()


def conv(name, x, stride=1):
    weight, bias = layers[name]
    return F.conv2d(x, weight, bias, stride=stride, padding={4: 1, 3: 1, 1: 0}[weight.shape[-1]])


def residual(of, x):
    for i in range(BLOCKS):
        x = x + conv(f"{of}.block.{i}.pointwise", F.relu(conv(f"{of}.block.{i}.spatial", F.relu(x))))
    return x


def rows(x):
    """[B, C, H, W] as [B·H·W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


symbols = torch.randint(0, CLASSES, (IMAGES, HEIGHT, WIDTH))
x = F.one_hot(symbols, CLASSES).double().permute(0, 3, 1, 2)
h = conv("encoder.down.1", F.relu(conv("encoder.down.0", x, 2)), 2)
z = conv("encoder.out", F.relu(residual("encoder", h)))
latents = rows(z)
picked = torch.cdist(latents, codes).argmin(1)
e = codes[picked]
straight = (latents + (e - latents).detach()).reshape(IMAGES, HEIGHT // 4, WIDTH // 4, DIM).permute(0, 3, 1, 2)
h = residual("decoder", conv("decoder.in", straight))
u = F.pixel_shuffle(conv("decoder.up.0", F.relu(h)), 2)
parameters = rows(F.pixel_shuffle(conv("decoder.up.1", F.relu(u)), 2))
nats = F.cross_entropy(parameters, symbols.reshape(-1), reduction="none")
loss = nats.sum() + ((latents.detach() - e) ** 2).sum() + COMMITMENT * ((latents - e.detach()) ** 2).sum()
(loss / symbols.numel()).backward()


def stored(name, of):
    """The matrix and bias of a layer as the format has them: rows (dy, dx, c), and columns (i, j, c) where PyTorch shuffles (c, i, j)."""
    weight, bias = (of(p) for p in layers[name])
    weight = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])
    if name.startswith("decoder.up"):
        weight = weight.reshape(len(weight), -1, 4).transpose(1, 2).reshape(len(weight), -1)
        bias = bias.reshape(-1, 4).T.reshape(-1)
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def tensors(of):
    return {k: v for name in layers for k, v in stored(name, of).items()} | {"codes": of(codes)}


config = {
    "height": HEIGHT,
    "width": WIDTH,
    "likelihood": {"name": "categorical", "classes": CLASSES},
    "codes": CODES,
    "code_dim": DIM,
    "channels": CHANNELS,
    "residual_blocks": BLOCKS,
}
header = {"version": 1, "family": "vq_vae", "config": config}
save("vq_vae.safetensors", tensors(torch.detach), {"wavesynth": json.dumps(header)})
golden = {"symbols": symbols.reshape(-1).double(), "latents": latents, "codes": picked.double(), "parameters": parameters, "nats": nats}
save("vq_vae.golden.safetensors", golden | {f"gradient.{k}": v for k, v in tensors(lambda p: p.grad).items()})
distances = torch.cdist(latents, codes).sort(1).values
print(f"{len(picked.unique())} of {CODES} codes, second nearest at least {(distances[:, 1] - distances[:, 0]).min():.4f} farther, {nats.mean():.4f} nats a pixel")
