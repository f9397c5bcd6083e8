"""How a node is doing: PipelineStatus and /diagnostics."""

from __future__ import annotations

import math

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from genego_ros.msg import PipelineStatus

_DIAGNOSED = (
    "frames_received",
    "frames_processed",
    "frames_dropped",
    "frames_rejected",
    "latency_ms",
    "hands",
    "scale",
    "scale_source",
    "viewpoint_source",
    "viewpoint_residual",
    "depth_source",
    "camera_source",
    "seen_fraction",
)


def empty_status(node: str) -> PipelineStatus:
    """The status of a node that has not seen a frame; what is not known yet is NaN or empty."""
    status = PipelineStatus(node=node, message="ok")
    for name in ("latency_ms", "scale", "scale_spread", "viewpoint_residual", "seen_fraction"):
        setattr(status, name, math.nan)
    return status


def is_active(status: PipelineStatus) -> bool:
    """Whether the node that says so takes frames."""
    return status.message != "inactive" and not status.message.startswith("cannot ")


def to_diagnostics(status: PipelineStatus, stamp: object) -> DiagnosticArray:
    """OK, or WARN with the status message."""
    well = status.message == "ok"
    diagnostic = DiagnosticStatus(
        level=DiagnosticStatus.OK if well else DiagnosticStatus.WARN,
        name=f"{status.node}: pipeline",
        message=status.message,
        hardware_id="none",
        values=[KeyValue(key=name, value=_text(getattr(status, name))) for name in _DIAGNOSED]
        + [
            KeyValue(key=f"{stage}_ms", value=f"{ms:.1f}")
            for stage, ms in zip(status.stage_names, status.stage_ms, strict=True)
        ],
    )
    message = DiagnosticArray(status=[diagnostic])
    message.header.stamp = stamp
    return message


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
