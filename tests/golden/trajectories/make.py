#!/usr/bin/env python3
"""Trajectories of the samplers by their published formulas, in float64: writes trajectories.txt beside this file.

    make.py            needs numpy

Each line: sampler, steps, start x, final x. The network is a function of one number x and the time; its variance
values and the step noise are functions, too (network, variance and noise below). The samplers are written here the way
their authors' programs have them, not the way the engine has: /method in the engine's tests compares the two.
"""
import os

import numpy as np

TIMESTEPS, STARTS = 1000, (-1.7, -0.6, 0.5, 1.6)
BETA = np.linspace(0.00085 ** 0.5, 0.012 ** 0.5, TIMESTEPS) ** 2
ABAR = np.cumprod(1 - BETA)


def network(x, tc):
    return np.tanh(x) * (0.3 + tc) + 0.4 * np.sin(3 * tc + x)


def variance(x, tc):
    return np.cos(5 * tc + x)


def noise(k, x):
    return np.sin(1 + 2 * k) + 0.1 * np.cos(3 * k)


class Time:
    """The noise level at continuous time tc: log alpha linear between the steps n / 1000."""

    def __init__(self, tc):
        table = 0.5 * np.log(ABAR)
        place = tc * TIMESTEPS
        self.tc = tc
        self.log_alpha = np.interp(place, np.arange(1, TIMESTEPS + 1), table)
        self.alpha = np.exp(self.log_alpha)
        self.sigma = np.sqrt(1 - self.alpha ** 2)
        self.lam = self.log_alpha - np.log(self.sigma)


def grid(steps):
    return [Time(1 - k * (1 - 1 / TIMESTEPS) / steps) for k in range(steps + 1)]


def data(x, t):
    return (x - t.sigma * network(x, t.tc)) / t.alpha


# arXiv 2211.01095: multistep_dpm_solver_first, second and third_update of the authors' program, but for the 2 before
# phi_3, without which d2 is half of the second derivative; the last step of order 2
def dpm_3m(x, steps):
    times, models = grid(steps), []
    for k in range(steps):
        s, t = times[k], times[k + 1]
        models.append(data(x, s))
        h = t.lam - s.lam
        phi_1 = np.expm1(-h)
        x_new = t.sigma / s.sigma * x - t.alpha * phi_1 * models[-1]
        if k == 1 or 0 < k == steps - 1:
            r0 = (s.lam - times[k - 1].lam) / h
            x_new -= 0.5 * t.alpha * phi_1 * (models[-1] - models[-2]) / r0
        elif k > 1:
            r0, r1 = (s.lam - times[k - 1].lam) / h, (times[k - 1].lam - times[k - 2].lam) / h
            d1_0, d1_1 = (models[-1] - models[-2]) / r0, (models[-2] - models[-3]) / r1
            d1 = d1_0 + r0 / (r0 + r1) * (d1_0 - d1_1)
            d2 = (d1_0 - d1_1) / (r0 + r1)
            phi_2 = phi_1 / h + 1
            phi_3 = phi_2 / h - 0.5
            x_new += t.alpha * phi_2 * d1 - t.alpha * phi_3 * 2 * d2
        x = x_new
    return x


# arXiv 2302.04867: multistep_uni_pc_bh_update of the authors' program, variant bh2, predict_x0, lower_order_final
def unipc_update(x, t, times, models, order, end=None):
    s = times[-1]
    h = t.lam - s.lam
    rks = [(times[-(i + 1)].lam - s.lam) / h for i in range(1, order)]
    d1s = [(models[-(i + 1)] - models[-1]) / rks[i - 1] for i in range(1, order)]
    rks = np.array(rks + [1.0])
    hh = -h
    h_phi_1 = np.expm1(hh)
    h_phi_k, factorial, b_h = h_phi_1 / hh - 1, 1, np.expm1(hh)
    rows, b = [], []
    for i in range(1, order + 1):
        rows.append(rks ** (i - 1))
        b.append(h_phi_k * factorial / b_h)
        factorial *= i + 1
        h_phi_k = h_phi_k / hh - 1 / factorial
    rows, b = np.array(rows), np.array(b)
    base = t.sigma / s.sigma * x - t.alpha * h_phi_1 * models[-1]
    if end is None:
        rhos = np.array([0.5]) if order == 2 else np.linalg.solve(rows[:-1, :-1], b[:-1])
        return base - t.alpha * b_h * sum(r * d for r, d in zip(rhos, d1s))
    rhos = np.array([0.5]) if order == 1 else np.linalg.solve(rows, b)
    residual = sum(r * d for r, d in zip(rhos[:-1], d1s))
    return base - t.alpha * b_h * (residual + rhos[-1] * (end - models[-1]))


def unipc(x, steps):
    times = grid(steps)
    models = [data(x, times[0])]
    for k in range(1, steps + 1):
        order = min(3, k, steps + 1 - k)
        predicted = unipc_update(x, times[k], times[:k], models, order)
        if k == steps:
            return predicted
        end = data(predicted, times[k])
        x = unipc_update(x, times[k], times[:k], models, order, end)
        models.append(end)


# arXiv 2206.00364, algorithm 1, in y = x / alpha over s = sigma / alpha
def euler(x, steps, second=False):
    times = grid(steps)
    y = x / times[0].alpha
    for a, b in zip(times, times[1:]):
        s = b.sigma / b.alpha - a.sigma / a.alpha
        slope = network(a.alpha * y, a.tc)
        guess = y + s * slope
        y = y + s * (slope + network(b.alpha * guess, b.tc)) / 2 if second else guess
    return times[-1].alpha * y


def heun(x, steps):
    return euler(x, steps, second=True)


def spaced(steps):
    stride, cur, out = (TIMESTEPS - 1) / max(steps - 1, 1), 0.0, []
    for _ in range(steps):
        out.append(round(cur))
        cur += stride
    return out


def strided(steps):
    for s in range(1, TIMESTEPS + 1):
        if len(range(0, TIMESTEPS, s)) == steps:
            return list(range(0, TIMESTEPS, s))
    return spaced(steps)


# arXiv 2010.02502, equation 12, over respaced steps
def ddim(x, steps):
    used = strided(steps)
    for i in reversed(range(steps)):
        abar = ABAR[used[i]]
        prev = ABAR[used[i - 1]] if i else 1.0
        eps = network(x, (used[i] + 1) / TIMESTEPS)
        x0 = np.sqrt(1 / abar) * x - np.sqrt(1 / abar - 1) * eps
        x = np.sqrt(prev) * x0 + np.sqrt(1 - prev) * eps
    return x


# arXiv 2102.09672: p_mean_variance with a learned range, and fixed at the upper end
def ddpm(x, steps, learned=True):
    used = spaced(steps)
    for k, i in enumerate(reversed(range(steps))):
        abar, prev = ABAR[used[i]], ABAR[used[i - 1]] if i else 1.0
        tc, beta = (used[i] + 1) / TIMESTEPS, 1 - abar / prev
        x0 = np.sqrt(1 / abar) * x - np.sqrt(1 / abar - 1) * network(x, tc)
        mean = beta * np.sqrt(prev) / (1 - abar) * x0 + (1 - prev) * np.sqrt(1 - beta) / (1 - abar) * x
        if i == 0:
            return mean
        low, high = np.log(beta * (1 - prev) / (1 - abar)), np.log(beta)
        f = (variance(x, tc) + 1) / 2 if learned else 1.0
        x = mean + np.exp(0.5 * (f * high + (1 - f) * low)) * noise(k, x)


def ddpm_fixed(x, steps):
    return ddpm(x, steps, learned=False)


SAMPLERS = {"dpm-solver++-3m": dpm_3m, "unipc": unipc, "euler": euler, "heun": heun, "ddim": ddim, "ddpm": ddpm,
            "ddpm-fixed": ddpm_fixed}
STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 20, 21, 37, 50)


def main():
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trajectories.txt")
    with open(out, "w", encoding="ascii") as f:
        for name, sampler in SAMPLERS.items():
            for steps in STEPS:
                for x in STARTS:
                    f.write(f"{name} {steps} {x} {sampler(x, steps):.15g}\n")


main()
