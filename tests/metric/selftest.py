#!/usr/bin/env python3
"""What of the metric needs only numpy, on cases whose answers are known.

    selftest.py        one line for each; exit status 1 if any is wrong

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import itertools
import sys

import numpy as np

import copies
import judge
import kid


def gaussian_kid(d, shift):
    """The squared discrepancy of N(0, I) and N(shift, I), exactly: for normal x, y independent with means a, b,
    E (x.y/d + 1)^3 by the moments of x.y."""
    def expected(a, b):
        # s = x.y: given y, normal with mean a.y and variance |y|^2; then y is averaged over.
        one = a @ b
        two = one ** 2 + a @ a + b @ b + d
        three = one ** 3 + 3 * one * (a @ a + b @ b + d + 2)
        return 1 + 3 * one / d + 3 * two / d ** 2 + three / d ** 3
    zero = np.zeros(d)
    return expected(zero, zero) + expected(shift, shift) - 2 * expected(zero, shift)


def check_kid(rng):
    """The mean over many small samples is the exact value, also where it is 0; the deviation is told rightly."""
    d = 6
    for size in (0, 0.8):
        shift = np.full(d, size)
        made = [kid.kid(rng.normal(size=(7, d)) + shift, rng.normal(size=(9, d))) for _ in range(6000)]
        values = np.array([value for value, _ in made])
        error = values.std() / np.sqrt(len(values))
        off = (values.mean() - gaussian_kid(d, shift)) / error
        yield abs(off) < 4, (f"kid: shift {size}, mean {values.mean():.4f}, exact {gaussian_kid(d, shift):.4f}, "
                             f"{off:+.1f} sigma")
        if not size:
            yield 0.3 < np.mean(values < 0) < 0.8, "kid: of two equal distributions it is often negative"
    y = rng.normal(size=(400, d))
    made = np.array([kid.kid(rng.normal(size=(40, d)) + 0.8, y) for _ in range(300)])
    ratio = made[:, 1].mean() / made[:, 0].std()
    yield 0.8 < ratio < 1.25, f"kid: jackknife deviation is {ratio:.2f} of the true one"


def check_frechet(rng):
    """For diagonal covariances the distance has a closed form."""
    scale, shift = np.linspace(0.5, 2, 16), np.linspace(0, 1, 16)
    exact = np.sum(shift ** 2) + np.sum((scale - 1) ** 2)
    found = kid.frechet(rng.normal(size=(20000, 16)) * scale + shift, rng.normal(size=(20000, 16)))
    yield abs(found / exact - 1) < 0.03, f"frechet: {found:.2f}, exact {exact:.2f}"


def check_projection(rng):
    """Components are uncorrelated, falling, of the total variance; nan, a constant and an outlier do no harm."""
    features = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 30)) + 0.1 * rng.normal(size=(500, 30))
    features[:, 3], features[7, 5], features[9, 6] = 2.5, np.nan, 1e30
    covariance = np.cov(kid.Projection.fit(features, 6)(features).T)
    variance = np.diag(covariance)
    yield np.allclose(covariance, np.diag(variance), atol=1e-9), "projection: no correlation"
    yield np.all(np.diff(variance) <= 0) and np.isclose(variance.sum(), kid.VARIANCE), "projection: variances"
    yield variance[0] < 5 * variance[3], "projection: an outlier is no component"


def check_reader(rng):
    """Classes that lie apart are named; classes that do not differ are named by chance; labels keep their names."""
    means = 6 * rng.normal(size=(5, 10))
    stretch = rng.normal(size=(10, 10))
    labels = np.repeat(["a", "b", "c", "d", "e"], 40)
    make = lambda middle: (rng.normal(size=(200, 10)) + np.repeat(middle, 40, 0)) @ stretch
    right = np.mean(kid.Reader(make(means), labels)(make(means)) == labels)
    yield right > 0.99, f"reader: {right:.2f} of separable classes"
    right = np.mean(kid.Reader(make(0 * means), labels)(make(0 * means)) == labels)
    yield 0.08 < right < 0.35, f"reader: {right:.2f} where there is nothing to read, chance 0.20"


def check_copies(rng):
    """A window cut out of a tile, rolled, turned, darkened, is found at 1; what is not there is not."""
    tiles = [rng.random((size, size)).astype(np.float32) for size in (128, 192, 256) for _ in range(2)]
    for index, (turn, flip) in enumerate(itertools.product(range(4), (False, True))):
        tile = tiles[index % len(tiles)]
        picture = np.rot90(np.roll(tile, (90, 101), (0, 1)), turn)
        picture = 0.2 + 0.5 * (np.fliplr(picture) if flip else picture)
        window = picture[-copies.WINDOW:, :copies.WINDOW]
        best, where = copies.largest(window[None], tiles)
        yield best[0] > 0.999 and where[0] == index % len(tiles), \
            f"copies: {best[0]:.4f} for a copy turned {turn} times" + (" and flipped" if flip else "")
    best, _ = copies.largest(rng.random((4, copies.WINDOW, copies.WINDOW)), tiles)
    yield best.max() < 0.15, f"copies: {best.max():.3f} for windows of something else"
    best, _ = copies.largest(np.full((1, copies.WINDOW, copies.WINDOW), 0.5), [np.zeros((128, 128), np.float32)])
    yield np.isfinite(best[0]), "copies: one colour is no division by nothing"


def check_correlation(rng):
    """The search's maximum is that of the formula written out for every place and symmetry."""
    side, count = 80, copies.WINDOW ** 2
    tile, window = rng.random((side, side)) ** 3, rng.random((copies.WINDOW, copies.WINDOW))
    shapes = copies.symmetries((window - window.mean()) / window.std()).reshape(8, count)
    plain = -1
    for y, x in itertools.product(range(side), range(side)):
        patch = np.roll(tile, (-y, -x), (0, 1))[:copies.WINDOW, :copies.WINDOW].ravel()
        plain = max(plain, np.max(shapes @ (patch - patch.mean())) / patch.std() / count)
    best, _ = copies.largest(window[None], [tile])
    yield abs(plain - best[0]) < 1e-5, f"copies: {best[0]:.6f}, written out {plain:.6f}"


def check_judge(rng):
    """Draws of the class pass the gate; of another class they fail both ways; a copy fails by itself."""
    d = 12
    means = {"sand": np.zeros(d), "grass": np.full(d, 1.5)}
    draw = lambda count: {c: rng.normal(size=(count, d)) + mean for c, mean in means.items()}
    reference = judge.Reference(None, {"train": draw(200), "again": draw(200), "held-out": draw(50)},
                                {"classes": ["grass", "sand"]})
    good = draw(100)
    fails = {c: row["fails"] for c, row in judge.judge(reference, good, {"sand": [0.5], "grass": [0.95]}).items()}
    yield fails == {"sand": [], "grass": ["copy"]}, f"judge: {fails}"
    swapped = judge.judge(reference, {"sand": good["grass"], "grass": good["sand"]})
    yield all(row["fails"] == ["kid", "names"] for row in swapped.values()), "judge: exchanged labels fail"
    yield judge.summary(swapped)["right"] < 0.05, "judge: and no name is right"


def main():
    wrong = 0
    for check in (check_kid, check_frechet, check_projection, check_reader, check_copies, check_correlation,
                  check_judge):
        for right, line in check(np.random.default_rng(1)):
            print("ok   " if right else "WRONG", line)
            wrong += not right
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
