"""Makes likelihood.golden.safetensors: for every likelihood parameters, values, their nats and the gradient of these,
and what uniform numbers draw. Computed with 60 digits (mpmath), probabilities as differences of distribution functions
and gradients as differences of nats; the Gaussians are checked against SciPy's. The mixture of logistics is a
transcription of discretized_mix_logistic_loss in PixelCNN++ (github.com/openai/pixel-cnn, pixel_cnn_pp/nn.py), without
its approximations for small probabilities and for any number of levels.

    pip install mpmath numpy scipy safetensors && python3 likelihood.py
"""
import json
import mpmath as mp
import numpy as np
from mpmath import mpf
from safetensors.numpy import save_file
from scipy import special, stats

mp.mp.dps = 60
rng = np.random.default_rng(1701)
CASES = 10


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def log_softmax(logits):
    top = max(logits)
    total = top + mp.log(sum(mp.exp(l - top) for l in logits))
    return [l - total for l in logits]


def log_sum_exp(xs):
    top = max(xs)
    return top + mp.log(sum(mp.exp(x - top) for x in xs))


def clamped(log_scale, least):
    return min(max(log_scale, mpf(float(least))), mpf(15))


def opened(u):
    """The middle of a uniform number's cell."""
    return mpf(float(u)) + mpf(2) ** -25


class Categorical:
    def __init__(self, classes):
        self.config = {"name": "categorical", "classes": classes}
        self.classes, self.params, self.uniforms = classes, classes, 1

    def make(self):
        return rng.normal(0, 3, self.params)

    def value(self):
        return [rng.integers(0, self.classes)]

    def nats(self, p, x):
        return -log_softmax(p)[x[0]]

    def draw(self, p, u):
        return first_above(lambda k: sum(mp.exp(l) for l in log_softmax(p)[:k + 1]), self.classes, u[0])


class Bernoulli:
    config, params, uniforms = {"name": "bernoulli"}, 1, 1

    def make(self):
        return rng.normal(0, 4, 1)

    def value(self):
        return [rng.integers(0, 2)]

    def nats(self, p, x):
        return -mp.log(sigmoid(p[0]) if x[0] == 1 else 1 - sigmoid(p[0]))

    def draw(self, p, u):
        return first_above(lambda k: 1 - sigmoid(p[0]) if k == 0 else mpf(1), 2, u[0])


def first_above(cdf, levels, u):
    """The first level whose distribution function is above u, and how near to a border u is."""
    u, low, high = mpf(float(u)), 0, levels - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cdf(middle) > u else (middle + 1, high)
    below = cdf(low - 1) if low > 0 else mpf(-1)
    above = cdf(low) if low < levels - 1 else mpf(2)
    return [low] if min(u - below, above - u) > 2e-6 else None


def component(logits, u):
    weights = [mp.exp(l) for l in log_softmax(logits)]
    k = first_above(lambda k: sum(weights[:k + 1]), len(logits), u)
    return k and k[0]


def normal_draw(mean, log_std, u):
    return mean + mp.exp(clamped(log_std, -7)) * mpf(float(stats.norm.ppf(float(opened(u)))))


class Gaussian:
    def __init__(self, dims):
        self.config = {"name": "gaussian", "dims": dims}
        self.dims, self.params, self.uniforms = dims, 2 * dims, dims

    def make(self):
        p = rng.normal(0, 1.5, self.params)
        p[-1] = rng.choice([-9, p[-1]])
        return p

    def value(self):
        return rng.normal(0, 2, self.dims)

    def nats(self, p, x):
        means, stds = p[:self.dims], [mp.exp(clamped(s, -7)) for s in p[self.dims:]]
        nats = -sum(mp.log(mp.npdf(v, m, s)) for v, m, s in zip(x, means, stds))
        scipy = -stats.norm.logpdf(*(np.array(a, dtype=float) for a in (x, means, stds))).sum()
        assert abs(nats - scipy) < 1e-9 * (1 + abs(nats))
        return nats

    def draw(self, p, u):
        return [normal_draw(*each) for each in zip(p[:self.dims], p[self.dims:], u)]


class GaussianMixture:
    def __init__(self, components, dims):
        self.config = {"name": "gaussian_mixture", "components": components, "dims": dims}
        self.k, self.dims, self.uniforms = components, dims, 1 + dims
        self.params = components * (1 + 2 * dims)

    def make(self):
        p = rng.normal(0, 1.2, self.params)
        p[-1] = rng.choice([-9, p[-1]])
        return p

    def value(self):
        return rng.normal(0, 2, self.dims)

    def of(self, p, k):
        at, n = self.k + k * self.dims, self.k * self.dims
        return p[at:at + self.dims], p[at + n:at + n + self.dims]

    def nats(self, p, x):
        log_p = []
        for k, prior in enumerate(log_softmax(p[:self.k])):
            means, log_stds = self.of(p, k)
            stds = [mp.exp(clamped(s, -7)) for s in log_stds]
            log_p.append(prior + sum(mp.log(mp.npdf(v, m, s)) for v, m, s in zip(x, means, stds)))
        return -log_sum_exp(log_p)

    def draw(self, p, u):
        k = component(p[:self.k], u[0])
        return None if k is None else [normal_draw(*each) for each in zip(*self.of(p, k), u[1:])]


class LogisticMixture:
    def __init__(self, components, channels, levels, spread):
        self.config = {"name": "logistic_mixture", "components": components, "channels": channels, "levels": levels}
        self.k, self.c, self.levels, self.spread = components, channels, levels, spread
        self.pairs = channels * (channels - 1) // 2
        self.params = components * (1 + 2 * channels + self.pairs)
        self.uniforms = 1 if channels == 1 else 1 + channels
        self.least = np.float32(-7 - np.log((levels - 1) / 255))

    def make(self):
        n = self.k * self.c
        scales = rng.uniform(float(self.least) - 0.5, self.spread, n)
        return np.concatenate([rng.normal(0, 1, self.k), rng.uniform(-1.2, 1.2, n), scales,
                               rng.normal(0, 1, self.k * self.pairs)])

    def value(self):
        ends = [0, self.levels - 1, 1, self.levels - 2]
        return [rng.choice(ends) if rng.random() < 0.4 else rng.integers(0, self.levels) for _ in range(self.c)]

    def scaled(self, level):
        return 2 * mpf(int(level)) / (self.levels - 1) - 1

    def of(self, p, k, c, before):
        """Mean and log scale of channel c under component k, given the channels before it."""
        n = self.k * self.c
        mean, log_scale = p[self.k + k * self.c + c], p[self.k + n + k * self.c + c]
        coefficients = p[self.k + 2 * n + k * self.pairs:][:self.pairs]
        # In three channels: m2 = means + coeffs0 x0, m3 = means + coeffs1 x0 + coeffs2 x1.
        for j in range(c):
            mean += mp.tanh(coefficients[c * (c - 1) // 2 + j]) * self.scaled(before[j])
        return mean, clamped(log_scale, self.least)

    def nats(self, p, x):
        half, log_p = mpf(1) / (self.levels - 1), []
        for k, prior in enumerate(log_softmax(p[:self.k])):
            for c, level in enumerate(x):
                mean, log_scale = self.of(p, k, c, x)
                centered, inv_stdv = self.scaled(level) - mean, mp.exp(-log_scale)
                plus_in, min_in = inv_stdv * (centered + half), inv_stdv * (centered - half)
                if level == 0:
                    prior += mp.log(sigmoid(plus_in))
                elif level == self.levels - 1:
                    prior += mp.log(sigmoid(-min_in))
                elif min_in > 0:
                    # The same difference, mirrored: both are small, so that no digit is lost.
                    prior += mp.log(sigmoid(-min_in) - sigmoid(-plus_in))
                else:
                    prior += mp.log(sigmoid(plus_in) - sigmoid(min_in))
            log_p.append(prior)
        return -log_sum_exp(log_p)

    def draw(self, p, u):
        if self.c == 1:
            weights = [mp.exp(l) for l in log_softmax(p[:self.k])]
            parts = [self.of(p, k, 0, []) for k in range(self.k)]

            def cdf(level):
                edge = self.scaled(level) + mpf(1) / (self.levels - 1)
                return sum(w * sigmoid((edge - m) * mp.exp(-s)) for w, (m, s) in zip(weights, parts))

            return first_above(cdf, self.levels, u[0])
        k, x = component(p[:self.k], u[0]), []
        if k is None:
            return None
        for c in range(self.c):
            mean, log_scale = self.of(p, k, c, x)
            v = opened(u[1 + c])
            level = (mean + mp.exp(log_scale) * mp.log(v / (1 - v)) + 1) / 2 * (self.levels - 1)
            if abs(level - mp.floor(level) - mpf(1) / 2) < 1e-3:
                return None
            x.append(int(min(max(mp.nint(level), 0), self.levels - 1)))
        return x


def exact(values):
    """f32, and the same as numbers of 60 digits."""
    values = np.array(values, dtype=np.float32)
    return values, [mpf(float(v)) for v in values]


def gradient(likelihood, p, x):
    """Central differences: with 60 digits a step of 1e-25 leaves 35 of them."""
    h, out = mpf(10) ** -25, []
    for i in range(len(p)):
        up, down = ([v + s * h if i == j else v for j, v in enumerate(p)] for s in (1, -1))
        out.append((likelihood.nats(up, x) - likelihood.nats(down, x)) / (2 * h))
    return out


tensors, metadata = {}, {}
for name, likelihood in {
    "categorical": Categorical(19),
    "bernoulli": Bernoulli(),
    "gaussian": Gaussian(3),
    "gaussian_mixture": GaussianMixture(4, 2),
    "sound": LogisticMixture(10, 1, 65536, 0.5),
    "grey": LogisticMixture(5, 1, 256, 0.5),
    "tails": LogisticMixture(1, 1, 256, -2),
    "colour": LogisticMixture(3, 3, 256, -0.5),
}.items():
    metadata[name] = json.dumps(likelihood.config)
    rows = {"params": [], "values": [], "nats": [], "gradient": [], "uniforms": [], "draws": []}
    for _ in range(CASES):
        params, p = exact(likelihood.make())
        values = np.array(likelihood.value())
        if np.issubdtype(values.dtype, np.integer):
            x = [int(v) for v in values]
        else:
            values, x = exact(values)
        rows["params"].append(params)
        rows["values"].append(values)
        rows["nats"].append(likelihood.nats(p, x))
        rows["gradient"].append(gradient(likelihood, p, x))
        drawn = None
        while drawn is None:
            u = rng.integers(0, 1 << 24, likelihood.uniforms) / (1 << 24)
            drawn = likelihood.draw(p, u)
        rows["uniforms"].append(u)
        rows["draws"].append(drawn)
    for key, values in rows.items():
        tensors[f"{name}.{key}"] = np.array([np.array(v, dtype=float) for v in values]).astype(np.float32)
    nats = tensors[f"{name}.nats"]
    print(f"{name}: {nats.min():.3f} to {nats.max():.3f} nats")

u = (rng.integers(0, 1 << 24, 64) / (1 << 24)).astype(np.float32)
u[:3] = [0, 0.5, 1 - 2.0 ** -24]
tensors["normal.uniforms"] = u
tensors["normal.draws"] = special.ndtri(u.astype(float) + 2.0 ** -25).astype(np.float32)
save_file(tensors, "likelihood.golden.safetensors", metadata=metadata)
