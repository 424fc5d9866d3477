"""What is computed of features: principal components, KID, Frechet distance, a reader of classes.

Only numpy. Rows are pictures, columns are features.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import numpy as np

COMPONENTS = 64  # what KID and the reader see
FRECHET_COMPONENTS = 16  # a covariance of more cannot be estimated from tens of pictures
# What follows sets the scale of KID. With these two numbers the figures of real crops, whole and spoilt, are those
# for which the gate was chosen (docs/default-model.md): to change them is to choose another gate.
CLIP = 3.0  # robust deviations; one broken statistic must not decide a class
VARIANCE = 18.0  # of all components together


class Projection:
    """Robust standardising, then principal components under one common scale: fitted on one set, applied to all."""

    FIELDS = ("middle", "spread", "mean", "basis")

    def __init__(self, middle, spread, mean=None, basis=None):
        self.middle, self.spread, self.mean, self.basis = middle, spread, mean, basis

    @classmethod
    def fit(cls, features, components=COMPONENTS):
        finite = np.where(np.isfinite(features), features, np.nan).astype(np.float64)
        low, middle, high = np.nanpercentile(finite, [25, 50, 75], 0)
        spread = (high - low) / 1.349  # a normal distribution's standard deviation
        made = cls(middle, np.where(spread > 1e-12, spread, np.inf))  # a constant tells nothing
        scaled = made.standardise(features)
        made.mean = scaled.mean(0)
        _, singular, rows = np.linalg.svd(scaled - made.mean, full_matrices=False)
        rank = min(components, int(np.sum(singular > 1e-6 * singular[0])))
        made.basis = rows[:rank].T * np.sqrt(VARIANCE * (len(scaled) - 1) / np.sum(singular[:rank] ** 2))
        return made

    def standardise(self, features):
        scaled = (np.asarray(features, np.float64) - self.middle) / self.spread
        return np.clip(np.where(np.isfinite(scaled), scaled, 0), -CLIP, CLIP)

    def __call__(self, features):
        return (self.standardise(features) - self.mean) @ self.basis


def kernel(x, y):
    """The cubic kernel of KID (Binkowski et al. 2018, section 4): (x.y / d + 1)^3."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kid(x, y):
    """Unbiased squared maximum mean discrepancy of two samples, and its jackknife deviation over x.

    The sums leave out each point with itself, so two samples of one distribution give 0 on average and
    half of the values are negative.
    """
    m, n = len(x), len(y)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    within, across = xx.sum(1), xy.sum(1)
    rest = yy.sum() / (n * (n - 1))
    value = within.sum() / (m * (m - 1)) + rest - 2 * across.sum() / (m * n)
    if m < 3:
        return value, float("nan")
    without = ((within.sum() - 2 * within) / ((m - 1) * (m - 2)) + rest
               - 2 * (across.sum() - across) / ((m - 1) * n))
    return value, float(np.sqrt((m - 1) / m * np.sum((without - without.mean()) ** 2)))


def frechet(x, y, components=FRECHET_COMPONENTS):
    """Frechet distance of two normal distributions fitted to the first components (Heusel et al. 2017, eq. 6).

    It is biased upwards when there are few pictures: compare only figures made from equally many.
    """
    x, y = x[:, :components], y[:, :components]
    a, b = np.cov(x.T), np.cov(y.T)
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    both = np.linalg.eigvalsh(root @ b @ root)  # the eigenvalues of a b, in a symmetric form
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a) + np.trace(b)
                 - 2 * np.sum(np.sqrt(np.maximum(both, 0))))


class Reader:
    """Linear discriminant analysis with equal priors: names the class whose mean is nearest under the
    covariance within classes, which is drawn a little towards a sphere to be invertible."""

    SHRINK = 0.02

    def __init__(self, x, labels):
        self.classes = np.unique(labels)
        self.means = np.stack([x[labels == c].mean(0) for c in self.classes])
        rest = x - self.means[np.searchsorted(self.classes, labels)]
        within = rest.T @ rest / max(len(x) - len(self.classes), 1)
        size = x.shape[1]
        within = (1 - self.SHRINK) * within + self.SHRINK * np.trace(within) / size * np.eye(size)
        self.weights = np.linalg.solve(within, self.means.T)
        self.offset = -0.5 * np.sum(self.means.T * self.weights, 0)

    def __call__(self, x):
        return self.classes[np.argmax(x @ self.weights + self.offset, 1)]
