"""Hands for RViz."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from genego_ros.geometry.skeleton import BONES, SIDE_COLORS
from genego_ros.ros.conversions import to_header
from genego_ros.types import Hand, Side

_NAMESPACES: dict[Side, str] = {"left": "left_hand", "right": "right_hand"}


def hand_markers(hands: Sequence[Hand], stamp_ns: int, frame_id: str) -> MarkerArray:
    """The bones of each hand as one LINE_LIST; a hand that is not seen is deleted."""
    seen = {hand.side: hand for hand in hands}
    return MarkerArray(markers=[_marker(side, seen.get(side), stamp_ns, frame_id) for side in _NAMESPACES])


def _marker(side: Side, hand: Hand | None, stamp_ns: int, frame_id: str) -> Marker:
    marker = Marker(header=to_header(stamp_ns, frame_id), ns=_NAMESPACES[side], id=0, type=Marker.LINE_LIST)
    if hand is None:
        marker.action = Marker.DELETE
        return marker
    marker.action = Marker.ADD
    marker.pose.orientation.w = 1.0
    marker.scale.x = 0.005
    red, green, blue = (value / 255.0 for value in SIDE_COLORS[side])
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    corners = [Point(x=x, y=y, z=z) for x, y, z in hand.keypoints.astype(float).tolist()]
    marker.points = [corners[end] for bone in BONES for end in bone]
    return marker
