"""How far a predicted depth is from the true one when their scale does not count.

Log depth is compared pixel by pixel after the best common factor was taken out (Eigen et al., 2014; here a median and
absolute differences, which edges that are off by a pixel do not rule), and its slopes at several sizes, so that edges
are sharp and planes smooth (MegaDepth, Li and Snavely, 2018; MiDaS, Ranftl et al., 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genego_ros.observation.depth.lite_network import Prediction

SIZES = 4
SLOPE_WEIGHT, DISTANCE_WEIGHT, TANGENT_WEIGHT = 0.5, 0.1, 0.3


def depth_losses(prediction: Prediction, depth: Tensor, log_tangent: Tensor) -> dict[str, Tensor]:
    """`loss`, and the parts of its weighted sum.

    Args:
        depth: float (N, h, w), metres along z, NaN invalid; of the size of the prediction.
        log_tangent: float (N,).
    """
    valid = torch.isfinite(depth) & (depth > 0)
    difference = prediction.log_depth - torch.where(valid, depth, torch.ones_like(depth)).log()
    factor = _median(difference, valid)
    residual = torch.where(valid, difference - factor.detach()[:, None, None], 0.0)
    parts = {
        "shape": _mean(residual.abs(), valid),
        "slope": sum_of_slopes(residual, valid),
        "distance": _mean_of_each(difference, valid).abs().mean(),
        "tangent": (prediction.log_tangent - log_tangent).abs().mean(),
    }
    weights = {"shape": 1.0, "slope": SLOPE_WEIGHT, "distance": DISTANCE_WEIGHT, "tangent": TANGENT_WEIGHT}
    return {"loss": torch.stack([weight * parts[name] for name, weight in weights.items()]).sum(), **parts}


def sum_of_slopes(residual: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, summed over both axes and over every pixel, every second, every fourth...

    Args:
        residual: float (N, h, w); 0 where not `valid`.
    """
    total = residual.new_zeros(())
    for size in range(SIZES):
        step = 2**size
        part, known = residual[:, ::step, ::step], valid[:, ::step, ::step]
        for axis in (1, 2):
            both = known.narrow(axis, 1, known.shape[axis] - 1) & known.narrow(axis, 0, known.shape[axis] - 1)
            total = total + _mean(part.diff(dim=axis).abs(), both)
    return total


def _median(values: Tensor, valid: Tensor) -> Tensor:
    """(N,): of each picture's valid pixels; 0 where it has none."""
    masked = torch.where(valid, values, torch.nan).flatten(1)
    return masked.nanmedian(1).values.nan_to_num(0.0)


def _mean_of_each(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, values, 0.0).sum((1, 2)) / where.sum((1, 2)).clamp(min=1)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)
