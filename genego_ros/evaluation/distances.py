"""Distances between two sets of pictures, from the features of each picture.

Both take how often each picture counts, so that a bootstrap need not copy features.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, svdvals

from genego_ros.types import Array, Float64Array

_ROWS = 1024
"""Of the kernel matrix at a time."""


def frechet(truth: Float64Array, pictures: Float64Array, counts: Array | None = None) -> float:
    """Frechet distance between the normal distributions of two feature sets (Heusel et al., 2017):
    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with unbiased covariances.

    With S = A^T A the eigenvalues of S1 S2 are the squared singular values of A1 A2^T, so the trace of its square
    root is their sum: exact also where there are fewer pictures than features, where a matrix square root is not.

    Args:
        truth, pictures: (N, D), row i of both belong together.
        counts: (N,), how often row i counts; once each by default. Their sum must be 2 or more.
    """
    weights = np.ones(len(truth)) if counts is None else np.asarray(counts, np.float64)
    (mean_1, root_1), (mean_2, root_2) = (_moments(features, weights) for features in (truth, pictures))
    variances = np.square(root_1).sum() + np.square(root_2).sum()
    return float(np.square(mean_1 - mean_2).sum() + variances - 2 * svdvals(root_1 @ root_2.T).sum())


def _moments(features: Float64Array, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean (D,) and a root A (at most D rows) of the covariance A^T A."""
    used = weights > 0
    features, weights = features[used], weights[used]
    total = weights.sum()
    mean = weights @ features / total
    root = np.sqrt(weights / (total - 1))[:, None] * (features - mean)
    return mean, qr(root, mode="r")[0][: root.shape[1]] if len(root) > root.shape[1] else root


class KernelDistance:
    """Squared maximum mean discrepancy, unbiased, with the kernel (x . y / D + 1)^3 (Binkowski et al., 2018: KID, but
    over the full sets), for any choice of groups of pictures.

    Args:
        truth, pictures: (N, D).
        groups: (N,), the group of each row, 0 to G - 1.
    """

    def __init__(self, truth: Float64Array, pictures: Float64Array, groups: Array) -> None:
        member = np.eye(int(groups.max()) + 1)[groups]
        self._sizes = member.sum(axis=0)
        self._within = [_sums(x, x, member) for x in (truth, pictures)]
        self._selves = [member.T @ (np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3 for x in (truth, pictures)]
        self._across = _sums(truth, pictures, member)

    def __call__(self, counts: Array | None = None) -> Float64Array:
        """The distances (B,) where group g is taken counts[b, g] times, counts (B, G); once each by default."""
        weights = np.ones((1, len(self._sizes))) if counts is None else np.asarray(counts, np.float64)
        n = weights @ self._sizes
        value = -2 * np.einsum("bg,gh,bh->b", weights, self._across, weights, optimize=True) / n**2
        for within, selves in zip(self._within, self._selves, strict=True):
            pairs = np.einsum("bg,gh,bh->b", weights, within, weights, optimize=True) - weights @ selves
            value += pairs / (n * (n - 1))
        return value


def _sums(x: Float64Array, y: Float64Array, member: Float64Array) -> Float64Array:
    """(G, G): the kernel summed over each pair of groups."""
    total = np.zeros((member.shape[1], member.shape[1]))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        total += member[rows].T @ ((x[rows] @ y.T / x.shape[1] + 1) ** 3 @ member)
    return total
