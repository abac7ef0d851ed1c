"""Writes acquisition.json: golden values of the confidence bound and the knowledge gradient, by mpmath at 40 digits.

    pip install mpmath==1.3.0
    python tests/goldens/make_acquisition_goldens.py

Both come from their definitions. The confidence bound's derivatives are numerical. The knowledge gradient is integrated over the
outcome z of the observation: what the mean of the recommended point is expected to gain when the recommendation, the point of
the smallest mean plus margin, may switch from today's point to one other.
"""

import json
import pathlib
import random

import mpmath
from mpmath import mpf

mpmath.mp.dps = 40


def confidence_bound(mean, variance, reduction, best):
    """log(sd softplus((best - mean)/sd + 2) rho^2)"""
    sd = mpmath.sqrt(variance)
    softplus = mpmath.log1p(mpmath.exp((best - mean) / sd + 2))
    return mpmath.log(sd * softplus * reduction / variance)


def bounds():
    cases = []
    for u in ("-40", "-8", "-2", "-0.3", "0", "1.5", "6"):
        for sd in ("0.01", "1.3"):
            for rho2 in ("0.02", "0.9"):
                variance, best = mpf(sd) ** 2, mpf("0.7")
                at = (best - mpf(u) * mpf(sd), variance, mpf(rho2) * variance)

                def value(*at, best=best):
                    return confidence_bound(*at, best)

                slopes = [mpmath.diff(value, at, tuple(int(i == j) for j in range(3))) for i in range(3)]
                numbers = [float(x) for x in (*at, best, value(*at), *slopes)]
                names = ("mean", "variance", "reduction", "best", "log", "d_mean", "d_variance", "d_reduction")
                cases.append(dict(zip(names, numbers)))
    return cases


def switch(gap, sd, delta):
    """What switching to a point whose mean is larger by gap + sd z is worth, where one does when that plus delta is below 0."""
    edge = -(gap + delta) / sd
    return mpmath.quad(lambda z: (-gap - sd * z) * mpmath.npdf(z), [-mpmath.inf, min(edge, -1) - 9, edge - 1, edge])


def knowledge_gradient(mean, margin, moves, after):
    best = min(range(len(mean)), key=lambda t: mean[t] + margin[t])
    values = [mpf(0)]
    for t in range(len(mean)):
        sd = mpmath.sqrt(sum((a - b) ** 2 for a, b in zip(moves[t], moves[best])))
        if t != best and sd > 0:
            values.append(switch(mean[t] - mean[best], sd, after[t] - after[best]))
    return max(values)


def gradients():
    rng = random.Random(20261126)
    # Caution about today's point would make one switch to a worse one: nothing is gained.
    astray = {"mean": [0.0, 1.0], "margin": [0.0, 0.0], "after": [3.0, 0.0], "moves": [[0.1, 0.0], [0.0, 0.0]]}
    cases = [{**astray, "log": None}]
    for points in (2, 2, 3, 5):
        for scale in (0.1, 0.5, 2.0):
            for cautious in (False, True):
                draw = lambda: round(rng.gauss(0, 1), 3)
                mean = [draw() for _ in range(points)]
                margin = [round(abs(draw()) * cautious, 3) for _ in range(points)]
                after = [round(m * rng.random(), 3) for m in margin]
                moves = [[round(scale * draw(), 3) for _ in range(2)] for _ in range(points)]
                exact = [[mpf(str(x)) for x in row] for row in (mean, margin, after)]
                rows = [[mpf(str(x)) for x in row] for row in moves]
                value = knowledge_gradient(exact[0], exact[1], rows, exact[2])
                log = float(mpmath.log(value)) if value > 0 else None
                cases.append({"mean": mean, "margin": margin, "after": after, "moves": moves, "log": log})
    return cases


def main():
    path = pathlib.Path(__file__).with_name("acquisition.json")
    goldens = {"confidence_bound": bounds(), "knowledge_gradient": gradients()}
    path.write_text(json.dumps(goldens, indent=1) + "\n")


if __name__ == "__main__":
    main()
