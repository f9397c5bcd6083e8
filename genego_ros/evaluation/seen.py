"""Whether what a method marks as seen is there: its seen mask against the true first-person view."""

from __future__ import annotations

import math

import numpy as np

from genego_ros.data.sample import View
from genego_ros.evaluation.observation.sparse import NEAR_M, like, share, within
from genego_ros.types import EgoView


def scores(view: EgoView, ego: View) -> dict[str, float]:
    """`seen_2cm` and `seen_20_grey`, see `metrics.METRICS`; NaN where nothing is marked, or no true depth is known.

    Args:
        view: made of a picture, with the splat that its seen pixels come from.
        ego: the truth, of the same camera.
    """
    depth = ego.frame.depth
    near = math.nan
    if depth is not None:
        near = share(within(NEAR_M, view.observation.sparse, depth), view.seen & np.isfinite(depth))
    return {"seen_2cm": near, "seen_20_grey": share(like(view.image, ego.frame.rgb), view.seen)}
