"""Lines and taps of an order of pixels, as docs/formats.md has them for the Gated PixelCNN."""

import numpy as np

STACKS = "vertical", "horizontal"


def lines(places):
    """The line of each step."""
    moves, line, out, t = np.diff(places, axis=0), 0, [], 0
    while t < len(places):
        end = t + 1
        while end < len(places) and np.abs(moves[t]).sum() == 1 and (moves[end - 1] == moves[t]).all():
            end += 1
        length = end - t if end - t >= 3 else 1
        out += [line] * length
        line, t = line + 1, t + length
    return np.array(out)


def all_taps(config):
    """The step that each tap reads at each step, -1 for none [N, taps]: by stack, and whether it is not the first layer."""
    height, width = config["grid"]["height"], config["grid"]["width"]
    sites = np.array(config["order"]["sites"]["sites"])
    places = np.stack(divmod(sites, width), 1)
    line, out = lines(places), {}
    step = np.full((height, width), -1)
    step[places[:, 0], places[:, 1]] = np.arange(len(sites))
    t = np.arange(len(sites))
    for later, kernel in (False, config["first_kernel"]), (True, config["kernel"]):
        half = kernel // 2
        around = np.pad(step, half, constant_values=-1)
        found = {stack: [] for stack in STACKS}
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                u = around[places[:, 0] + half + dy, places[:, 1] + half + dx]
                same, there = line[u] == line, u >= 0
                reads = {"vertical": (line[u] < line) | (same & later), "horizontal": same & ((u < t) | (u == t) & later)}
                for stack in STACKS:
                    if (there & reads[stack]).any():
                        found[stack].append(np.where(there & reads[stack], u, -1))
        for stack in STACKS:
            out[stack, later] = np.stack(found[stack], 1) if found[stack] else np.empty((len(sites), 0), int)
    return out
