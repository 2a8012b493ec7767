"""The sections on images and image models of docs/formats.md, in numpy."""

import struct
import zlib

import numpy as np


def read_png(path):
    """[height, width, 3] of a PNG of 8-bit colours without interlacing."""
    data, at, body = open(path, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        part, at = data[at + 8 : at + 8 + size], at + 12 + size
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", part[:10])
            assert (depth, colours) == (8, 2)
        body += part if kind == b"IDAT" else b""
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + 3 * width)
    out = np.zeros((height, 3 * width), np.int64)
    for y, (how, row) in enumerate(zip(rows[:, 0], rows[:, 1:].astype(np.int64))):
        up = out[y - 1] if y else np.zeros(3 * width, np.int64)
        for i in range(3 * width):
            left, corner = (out[y, i - 3], up[i - 3]) if i >= 3 else (0, 0)
            out[y, i] = (row[i] + [0, left, up[i], (left + up[i]) // 2, paeth(left, up[i], corner)][how]) & 255
    return out.reshape(height, width, 3)


def paeth(a, b, c):
    return min((a, b, c), key=lambda x: abs(a + b - c - x))


def write_idx(path, values):
    with open(path, "wb") as f:
        f.write(bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.astype(np.uint8).tobytes())


def grey(levels):
    """[...] of levels [..., 3]."""
    return np.floor(levels @ np.array([0.299, 0.587, 0.114]) + 0.5).astype(np.int64)


def variables(pixels, levels):
    """Symbols [N], or vectors [N, C], of an image's levels [N, 3]."""
    name = pixels["name"]
    if name == "rgb":
        return levels.astype(np.float64)
    if name == "palette":
        return ((levels[:, None] - np.array(pixels["colours"])) ** 2).sum(2).argmin(1)
    if name == "continuous":
        return (2 * (levels if pixels["channels"] == 3 else grey(levels)[:, None]) + 1) / 256 - 1
    return (grey(levels) >= 128).astype(int) if name == "binary" else grey(levels)


def colours(pixels, x):
    """Levels [N, 3] of variables."""
    name, x = pixels["name"], np.asarray(x)
    if name == "rgb":
        return x.astype(np.int64)
    if name == "palette":
        return np.array(pixels["colours"])[x]
    if name == "continuous":
        return np.broadcast_to(np.clip((x + 1) * 128, 0, 255).astype(np.int64), (len(x), 3))
    return np.repeat((255 * x if name == "binary" else x)[:, None], 3, 1)


def bits(pixels, count, nats):
    """Bits per dimension of an image of `count` pixels."""
    values = 3 if name_of(pixels) in ("rgb", "continuous 3") else 1
    levels = np.log(128) * values * count if pixels["name"] == "continuous" else 0
    return (nats + levels) / (count * values * np.log(2))


def name_of(pixels):
    return f"{pixels['name']} {pixels['channels']}" if "channels" in pixels else pixels["name"]


def seed(of, image):
    """The seed of image `image` in a run of seed `of`."""
    return of ^ ((image + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1)
