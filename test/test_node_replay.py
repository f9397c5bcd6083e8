"""A recording replayed with its clock: the nodes live in its time and use what its TF says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from genego_ros.msg import EgoObservation
from geometry_msgs.msg import Pose
from ros_rig import rig, write_yaml
from scipy.spatial.transform import Rotation
from test_convert import Memory

from genego_ros.data.convert import convert, stamp_of
from genego_ros.geometry import rigid
from genego_ros.ros import conversions
from genego_ros.types import Float64Array


def matrix(pose: Pose) -> Float64Array:
    p, q = pose.position, pose.orientation
    return rigid.compose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), (p.x, p.y, p.z))


def test_stamps_and_transforms_come_in_the_bags_time(tmp_path: Path) -> None:
    dataset = Memory()
    convert(dataset, range(4), tmp_path / "bag", "h2o", raw=True)
    file = write_yaml(
        tmp_path / "tf.yaml",
        "viewpoint: {backend: tf}\nframes: {ego: truth_ego_camera_optical_frame}\nego: {width: 160, height: 90}",
    )
    truth = {stamp_of(s.id, dataset.rate_hz): s.T_ego_exo for s in map(dataset.__getitem__, range(4))}
    with rig(params_file=file, use_sim_time="true") as made:
        made.listen("/genego/ego/observation", EgoObservation)
        made.until_active()
        command = [sys.executable, "-m", "genego_ros", "play", str(tmp_path / "bag"), "--clock", "--rate", "0.25"]
        player = subprocess.Popen([*command, "--subscribers", "1"], env=os.environ.copy(), stderr=subprocess.DEVNULL)
        try:
            made.until(lambda: player.poll() is not None, "the end of the recording", 30.0)
            made.spin(0.5)
        finally:
            player.kill()
            player.wait()
        assert player.returncode == 0
        seen = {conversions.from_time(m.header.stamp): m for m in made.received["/genego/ego/observation"]}
        statuses = [s for s in made.received["/genego/status"] if s.frames_processed]
    assert len(seen) >= 3 and set(seen) <= set(truth)
    for stamp, observation in seen.items():
        assert observation.valid and observation.viewpoint_source == "tf"
        # A picture may be looked at before the transform of its own moment: then it is that of the moment before.
        np.testing.assert_allclose(rigid.invert(matrix(observation.pose)), truth[stamp], atol=0.02)
    off = [np.abs(rigid.invert(matrix(o.pose)) - truth[stamp]).max() for stamp, o in seen.items()]
    assert min(off) < 1e-9
    # Against the wall's clock a recording of 2023 would be years late.
    assert all(0 <= s.latency_ms < 1000 for s in statuses)
