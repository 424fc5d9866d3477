"""What the metric sees of a picture: Portilla-Simoncelli statistics of the luminance, and colours.

No trained network takes part. plenoptic computes the texture statistics (Portilla & Simoncelli 2000) on windows of
128 px: 4 scales, 4 orientations, correlations over 7 px. Colours: means, covariances and deviations of three opponent
channels, the covariances and deviations also after averaging over 4 x 4 and 16 x 16 pixels.

A picture of 128 px is one window. One of 256 px is described by the mean over its four windows and, side by
side with it, by the picture halved to one window: grain and structure. One of 512 px has three such parts.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import numpy as np
import plenoptic
import torch

SIDE = 128
BATCH = 16
COLOUR_SCALES = (1, 4, 16)


def model():
    """Where a statistic of a flat picture is undefined plenoptic says nan; Projection knows that."""
    return plenoptic.models.PortillaSimoncelli(image_shape=(SIDE, SIDE), n_scales=4, n_orientations=4,
                                               spatial_corr_width=7)


def halved(pictures):
    n, height, width, channels = pictures.shape
    return pictures.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def colours(pictures):
    """N x SIDE x SIDE x 3 in [0, 1] to N x 30."""
    red, green, blue = np.moveaxis(pictures, -1, 0)
    opponent = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], 1)
    found = [opponent.mean((2, 3))]
    upper = np.triu_indices(3)
    for scale in COLOUR_SCALES:
        n, _, height, width = opponent.shape
        coarse = opponent.reshape(n, 3, height // scale, scale, width // scale, scale).mean((3, 5)).reshape(n, 3, -1)
        coarse = coarse - coarse.mean(2, keepdims=True)
        covariance = coarse @ coarse.transpose(0, 2, 1) / coarse.shape[2]
        found += [covariance[:, upper[0], upper[1]], coarse.std(2)]
    return np.concatenate(found, 1)


def of_windows(pictures, texture):
    """N x SIDE x SIDE x 3 in [0, 1] to N x 740."""
    luminance = pictures @ np.array([0.299, 0.587, 0.114])
    with torch.no_grad():
        parts = [texture(torch.from_numpy(luminance[i:i + BATCH, None]).float())[:, 0].numpy()
                 for i in range(0, len(luminance), BATCH)]
    return np.concatenate([np.concatenate(parts), colours(pictures)], 1)


def features(pictures, texture):
    """N pictures of SIDE x 2^k pixels, bytes, to N x 740 (k + 1)."""
    pictures = np.asarray(pictures, np.float64) / 255
    found = []
    while pictures.shape[1] >= SIDE:
        n, across = len(pictures), pictures.shape[1] // SIDE
        cut = pictures.reshape(n, across, SIDE, across, SIDE, 3).swapaxes(2, 3).reshape(-1, SIDE, SIDE, 3)
        found.append(of_windows(cut, texture).reshape(n, across * across, -1).mean(1))
        pictures = halved(pictures)
    return np.concatenate(found, 1).astype(np.float32)
