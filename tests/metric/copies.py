"""The search for copies: where, in any training picture, a window of a picture is found again.

A window is compared with every place of a tile, on the torus, by the normalised cross-correlation of the
luminance (Lewis 1995): 1 is a copy up to brightness and contrast. The tile is taken at every size that the training
took, the window in all 8 symmetries of the square. Only numpy; scipy's transforms are used where it is there
(float32, twice as quick).

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import numpy as np

try:
    from scipy import fft
except ImportError:
    from numpy import fft

WINDOW = 64
FLAT = 0.5 / 255  # a patch with less deviation than this is one colour, and like everything


def luminance(picture):
    """H x W x 3 bytes, or floats in [0, 1], to H x W float32 in [0, 1]."""
    scale = 255 if picture.dtype == np.uint8 else 1
    return (picture @ np.array([0.299, 0.587, 0.114]) / scale).astype(np.float32)


def symmetries(window):
    """The 8 symmetries of a square."""
    turned = [np.rot90(window, k) for k in range(4)]
    return np.stack(turned + [np.fliplr(t) for t in turned])


def windows_of(picture, count=1):
    """The middle window of a picture's luminance, or 4 or 9 of a grid over it."""
    lum = luminance(picture)
    across = int(round(np.sqrt(count)))
    places = [np.linspace(0, side - WINDOW, across + 2)[1:-1].astype(int) if across == 1
              else np.linspace(0, side - WINDOW, across).astype(int) for side in lum.shape]
    return np.stack([lum[y:y + WINDOW, x:x + WINDOW] for y in places[0] for x in places[1]])


class Tile:
    """A training picture at one size, ready to be searched: its spectrum and the deviation around each place."""

    def __init__(self, lum):
        lum = lum - lum.mean()  # keeps the sums of squares small
        self.shape = lum.shape
        self.spectrum = fft.rfft2(lum)
        count = WINDOW * WINDOW
        mean = box_sum(lum) / count
        deviation = np.sqrt(np.maximum(box_sum(lum.astype(np.float64) ** 2) / count - mean ** 2, 0))
        self.weight = (1 / (np.maximum(deviation, FLAT) * count)).astype(np.float32)

    def best(self, spectra):
        """The largest correlation for windows given by window_spectra() for this tile's size."""
        found = fft.irfft2(spectra * self.spectrum, s=self.shape)
        found *= self.weight
        return float(found.max())


def box_sum(values):
    """The sum over the window that starts at each place of a torus, in double."""
    for axis in (0, 1):
        wrapped = np.concatenate([values, np.take(values, range(WINDOW), axis)], axis).astype(np.float64)
        total = np.cumsum(wrapped, axis)
        total = np.concatenate([np.zeros_like(np.take(total, [0], axis)), total], axis)
        size = values.shape[axis]
        values = np.take(total, range(WINDOW, WINDOW + size), axis) - np.take(total, range(size), axis)
    return values


def window_spectra(window, size):
    """Conjugate spectra of the 8 symmetries of a window, each with mean 0 and deviation 1, on a torus of this size."""
    window = (window - window.mean()) / max(float(window.std()), FLAT)
    padded = np.zeros((8, size, size), np.float32)
    padded[:, :WINDOW, :WINDOW] = symmetries(window)
    return np.conj(fft.rfft2(padded))


def largest(windows, tiles):
    """For each window the largest correlation with any tile, and that tile's index.

    windows: N x 64 x 64 luminance; tiles: luminance arrays, each square and at least as large as a window.
    """
    best, where = np.full(len(windows), -1.0), np.full(len(windows), -1)
    order = sorted(range(len(tiles)), key=lambda i: tiles[i].shape[0])
    size, spectra = 0, []
    for index in order:
        if tiles[index].shape[0] != size:
            size = tiles[index].shape[0]
            spectra = [window_spectra(w, size) for w in windows]
        tile = Tile(tiles[index])
        for k, spectrum in enumerate(spectra):
            value = tile.best(spectrum)
            if value > best[k]:
                best[k], where[k] = value, index
    return best, where
