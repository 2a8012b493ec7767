"""The section on VQ-VAEs of docs/formats.md, in numpy."""

import numpy as np

import likelihoods


class VqVae:
    """`values(name)` gives a tensor."""

    def __init__(self, config, values):
        self.config, self.values = config, values

    def layer(self, name, x, stride=1):
        """[out, out, columns] of x [height, width, n]."""
        weight = self.values(name + ".weight")
        n, (height, width) = x.shape[2], (x.shape[0] // stride, x.shape[1] // stride)
        k = int(np.sqrt(len(weight) // n))
        x = np.pad(x, ((1, 1), (1, 1), (0, 0))) if k > 1 else x
        out = np.zeros((height, width, weight.shape[1])) + self.values(name + ".bias")
        for dy in range(k):
            for dx in range(k):
                part = x[dy : dy + stride * height : stride, dx : dx + stride * width : stride]
                out += part[:height, :width] @ weight[(dy * k + dx) * n :][:n]
        return out

    def blocks(self, of, h):
        for r in range(self.config["residual_blocks"]):
            inner = self.layer(f"{of}.block.{r}.spatial", np.maximum(h, 0))
            h = h + self.layer(f"{of}.block.{r}.pointwise", np.maximum(inner, 0))
        return h

    def up(self, name, x):
        x = self.layer(name, x)
        height, width, columns = x.shape
        x = x.reshape(height, width, 2, 2, columns // 4).transpose(0, 2, 1, 3, 4)
        return x.reshape(2 * height, 2 * width, columns // 4)

    def entering(self, variables):
        likelihood = self.config["likelihood"]
        if likelihood["name"] in ("categorical", "bernoulli"):
            return np.eye(likelihood.get("classes", 2))[variables]
        return likelihoods.numbers(likelihood, np.asarray(variables, np.float64)).reshape(len(variables), -1)

    def encode(self, variables):
        """The codes of an image's variables, pixel by pixel; and how much farther the next nearest of any is at least."""
        x = self.entering(variables).reshape(self.config["height"], self.config["width"], -1)
        h = np.maximum(self.layer("encoder.down.0", x, 2), 0)
        h = self.blocks("encoder", self.layer("encoder.down.1", h, 2))
        z = self.layer("encoder.out", np.maximum(h, 0)).reshape(-1, self.config["code_dim"])
        far = ((z[:, None] - self.values("codes")) ** 2).sum(2)
        two = np.sort(far, 1)
        return far.argmin(1), (two[:, 1] - two[:, 0]).min()

    def parameters(self, codes):
        """[pixels, P]."""
        grid = self.config["height"] // 4, self.config["width"] // 4
        h = self.layer("decoder.in", self.values("codes")[codes].reshape(*grid, -1))
        h = self.up("decoder.up.0", np.maximum(self.blocks("decoder", h), 0))
        return self.up("decoder.up.1", np.maximum(h, 0)).reshape(self.config["height"] * self.config["width"], -1)

    def nats(self, codes, variables):
        likelihood, rows = self.config["likelihood"], self.parameters(codes)
        if likelihood["name"] == "categorical":
            top = rows.max(1, keepdims=True)
            rows = rows - top - np.log(np.exp(rows - top).sum(1, keepdims=True))
            return -rows[np.arange(len(rows)), variables]
        return likelihoods.nats(likelihood, rows, variables)
