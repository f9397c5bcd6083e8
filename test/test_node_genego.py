"""The nodes as a robot meets them: real processes, real topics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from genego_ros.msg import EgoObservation, HandArray, SceneDescription
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_rig import FRAME_ID, Rig, rig, sample_frames, write_yaml
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from genego_ros.geometry.rigid import apply, compose, invert
from genego_ros.ros import conversions
from genego_ros.ros.transforms import from_transform, to_transform
from genego_ros.types import Camera

FRAMES = sample_frames(4)
BLANK = np.full((480, 640, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def composed() -> Iterator[Rig]:
    with rig() as made:
        made.listen("/genego/ego/observation", EgoObservation)
        made.listen("/genego/exo/hands", HandArray)
        made.listen("/genego/hands/markers", MarkerArray)
        made.until_active()
        yield made


def outputs_of(arguments: dict[str, str], nodes: int) -> list[tuple[bytes, ...]]:
    """What comes out for the sample's first frames, one after another."""
    with rig(**arguments) as made:
        made.listen("/genego/ego/observation", EgoObservation)
        made.listen("/genego/ego/seen", Image)
        made.listen("/tf", TFMessage)
        made.until_active(nodes)
        made.spin(1.0)  # every pair of publisher and subscriber has found each other
        found = []
        for i, (rgb, depth, camera) in enumerate(FRAMES):
            stamp = made.send(rgb, camera, depth, stamp_ns=(i + 1) * 50_000_000)
            observation = made.answer("/genego/ego/observation", stamp)
            seen = made.answer("/genego/ego/seen", stamp)
            tf = made.until(lambda n=i: made.received["/tf"][n:], "a transform")[0].transforms[0]
            assert conversions.from_time(tf.header.stamp) == stamp
            assert (tf.header.frame_id, tf.child_frame_id) == (FRAME_ID, "ego_camera_optical_frame")
            found.append(
                (
                    observation.image.data.tobytes(),
                    observation.seen.data.tobytes(),
                    seen.data.tobytes(),
                    np.asarray(observation.state).tobytes(),
                    repr(observation.pose).encode(),
                    repr(tf.transform).encode(),
                )
            )
        return found


def test_one_process_or_two_give_the_same_output() -> None:
    assert outputs_of({"composed": "true"}, 1) == outputs_of({"composed": "false"}, 2)


def test_sample_gives_both_hands_and_a_view(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    observation = composed.answer("/genego/ego/observation", composed.send(rgb, camera, depth))
    assert observation.valid
    assert [hand.side for hand in observation.hands] == [0, 1]
    seen = np.frombuffer(observation.seen.data, np.uint8)
    assert set(np.unique(seen)) == {0, 255}
    # The eyes look at the hands: their middles lie in the picture, the left one's on the left.
    left, right = (np.reshape(hand.keypoints_2d, (21, 2)).mean(axis=0) for hand in observation.hands)
    assert (np.abs([left - [319.5, 179.5], right - [319.5, 179.5]]) < [319.5, 179.5]).all() and left[0] < right[0]
    # The state vector repeats the hands.
    for start, hand in zip((0, 73), observation.hands, strict=True):
        assert observation.state[start + 72] == 1.0
        np.testing.assert_allclose(observation.state[start : start + 3], hand.keypoints[:3])


def test_hands_take_their_distance_from_the_depth_topic(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    hands = composed.answer("/genego/exo/hands", composed.send(rgb, camera, depth)).hands
    for hand in hands:
        assert hand.scale_source == "depth"
        points, pixels = np.reshape(hand.keypoints, (21, 3)), np.reshape(hand.keypoints_2d, (21, 2))
        u, v = np.rint(pixels[[5, 9, 13]]).astype(int).T
        # Knuckles lie a finger's half thickness behind the skin that the camera measures.
        assert np.abs(points[[5, 9, 13], 2] - depth[v, u]).max() < 0.05


def test_nobody_is_said_and_never_repeated(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    composed.answer("/genego/ego/observation", composed.send(rgb, camera, depth))
    for _ in range(3):  # the tracker may hold on to a hand for a moment
        empty = composed.answer("/genego/ego/observation", composed.send(BLANK, camera, depth))
    assert not empty.valid and not empty.hands
    assert not np.any(np.frombuffer(empty.image.data, np.uint8))
    assert not np.any(np.frombuffer(empty.seen.data, np.uint8))
    assert not np.any(empty.state)
    stamp = conversions.from_time(empty.header.stamp)
    assert composed.answer("/genego/exo/hands", stamp).hands == []
    markers = composed.until(
        lambda: next((m for m in composed.received["/genego/hands/markers"] if stamp_of(m) == stamp), None), "markers"
    )
    assert {marker.action for marker in markers.markers} == {Marker.DELETE}


def test_one_hand(composed: Rig) -> None:
    """The person's left hand, on the picture's right, is painted over."""
    rgb, depth, camera = FRAMES[0]
    covered = rgb.copy()
    covered[:, 320:] = rgb[-1, 320:].mean(axis=0)
    for _ in range(3):  # the tracker may hold on to a hand for a moment
        observation = composed.answer("/genego/ego/observation", composed.send(covered, camera, depth))
    assert observation.valid
    assert [hand.side for hand in observation.hands] == [1]
    assert not np.any(observation.state[:73]) and observation.state[145] == 1.0


def test_a_hand_at_the_border_keeps_its_weak_keypoints(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    left = composed.answer("/genego/exo/hands", composed.send(rgb, camera, depth)).hands[0]
    # Move the picture down until its lower edge cuts the left hand in the middle.
    cut = len(rgb) - 1 - round(float(np.median(np.reshape(left.keypoints_2d, (21, 2))[:, 1])))
    shifted = np.roll(rgb, cut, axis=0)
    shifted[:cut] = 90
    for _ in range(3):
        hands = composed.answer("/genego/exo/hands", composed.send(shifted, camera, np.roll(depth, cut, 0))).hands
    (left,) = (hand for hand in hands if hand.side == 0)
    scores = np.asarray(left.keypoint_scores)
    outside = np.reshape(left.keypoints_2d, (21, 2))[:, 1] > len(rgb) - 0.5
    assert 5 <= outside.sum() <= 16
    assert scores[outside].max() < 0.2 < scores[~outside].min()
    assert np.isfinite(left.keypoints).all()


def stamp_of(markers: MarkerArray) -> int:
    return conversions.from_time(markers.markers[0].header.stamp)


def broken(**changes: object) -> Image:
    message = conversions.to_image(FRAMES[0][0], "rgb8", time.time_ns(), FRAME_ID)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoding": "yuv422_yuy2"}, "yuv422_yuy2"),
        ({"step": 17}, "step 17"),
        ({"data": bytes(1000)}, "carries 1000 bytes"),
        ({"width": 0, "height": 0}, "it is empty"),
    ],
)
def test_a_broken_picture_is_named_and_survived(composed: Rig, changes: dict[str, object], said: str) -> None:
    rejected = composed.received["/genego/status"][-1].frames_rejected
    composed.images.publish(broken(**changes))
    assert composed.status(said).frames_rejected == rejected + 1
    # A tracker that has lost its hands finds them again with the next picture.
    answers = [composed.answer("/genego/ego/observation", composed.send(*FRAMES[0][::2])) for _ in range(2)]
    assert answers[-1].valid


def test_depth_that_cannot_be_used_is_left_out(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    for bad, said in (
        (np.ones((100, 100), np.float32), "another shape"),
        (depth * 1000, "look like millimetres"),
    ):
        stamp = composed.send(rgb, camera, bad)
        status = composed.status(said)
        assert status.depth_source == "lite"
        assert composed.answer("/genego/ego/observation", stamp).valid
    half = np.ascontiguousarray(depth[::2, ::2])
    composed.send(rgb, camera, half)
    assert composed.status("it is resized").depth_source == "topic"


def test_a_depth_topic_that_stops_is_replaced_and_comes_back(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    composed.send(rgb, camera, depth)
    assert composed.status("ok").depth_source == "topic"
    composed.spin(1.2)
    composed.send(rgb, camera)
    composed.until(lambda: composed.received["/genego/status"][-1].depth_source == "lite", "the network's depth")
    composed.send(rgb, camera, depth)
    composed.until(lambda: composed.received["/genego/status"][-1].depth_source == "topic", "the depth topic again")


def test_camera_info_that_does_not_fit(composed: Rig) -> None:
    rgb, _, camera = FRAMES[0]
    composed.send(rgb, Camera(320, 480, 300, 300, 160, 240))
    assert composed.status("it cannot be used").camera_source == "estimated"
    composed.send(rgb, camera.resized(camera.width // 2, camera.height // 2))
    assert composed.status("scaled to it").camera_source == "given"
    info = conversions.to_camera_info(camera, 1, FRAME_ID)
    info.k = [float("nan")] * 9
    composed.infos.publish(info)
    composed.spin(0.3)
    composed.send(rgb)
    assert composed.status("no usable camera_info").camera_source == "estimated"
    composed.send(rgb, camera)
    composed.until(lambda: composed.received["/genego/status"][-1].camera_source == "given", "the camera's intrinsics")


def test_stamps_of_zero_and_backwards(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    # Depth that came until now and is missing for this picture must not hide what is wrong with the picture.
    composed.answer("/genego/ego/observation", composed.send(rgb, camera, depth))
    composed.send(rgb, camera, stamp_ns=0)
    status = composed.status("no stamp")
    assert "no depth image" in status.message
    assert abs(conversions.from_time(status.header.stamp) - time.time_ns()) < 5e9
    composed.answer("/genego/ego/observation", composed.send(rgb, camera))
    back = composed.send(rgb, camera, stamp_ns=time.time_ns() - 60_000_000_000)
    assert conversions.from_time(composed.status("went back").header.stamp) == back


def test_a_compressed_camera_is_followed() -> None:
    rgb, _, _ = FRAMES[0]
    with rig() as made:
        made.node.destroy_publisher(made.images)
        compressed = made.node.create_publisher(CompressedImage, "/camera/image_raw", 1)
        made.listen("/genego/ego/observation", EgoObservation)
        made.listen("/genego/description", SceneDescription)
        made.until(compressed.get_subscription_count, "a subscription of the compressed type", 40.0)
        made.spin(1.0)
        stamp = time.time_ns()
        compressed.publish(conversions.to_compressed(rgb, stamp, FRAME_ID))
        assert made.answer("/genego/ego/observation", stamp).valid
        assert "hand" in made.received["/genego/description"][0].text


def test_a_silent_camera_is_named(tmp_path) -> None:
    file = write_yaml(tmp_path / "p.yaml", "input: {silent_s: 1.0}")
    with rig(params_file=file, image_topic="/front/image") as made:
        text = made.status("no message on '/front/image'", 40.0).message
        assert "nobody publishes it" in text and "/camera/image_raw" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ego: {widht: 320}", "did you mean 'ego.width'"),
        ("ego: {width: 8}", "between 16 and 4096 px"),
        ("depth: {near: high}", "'depth.near'"),
        ("depth: {near: 5.0, far: 1.0}", "it must be below 'depth.far'"),
        ("hands: {backend: none}", "unknown hands backend 'none'; known: "),
    ],
)
def test_wrong_parameters_are_refused_with_the_cure(tmp_path, text: str, said: str) -> None:
    with rig(params_file=write_yaml(tmp_path / "p.yaml", text)) as made:
        assert "cannot configure" in made.status(said, 40.0).message


def test_missing_weights_name_the_command(tmp_path) -> None:
    with rig(environment={"GENEGO_WEIGHTS": str(tmp_path)}) as made:
        assert "genego weights install" in made.status("mediapipe_face", 40.0).message


def test_viewpoint_from_tf(tmp_path) -> None:
    """The robot's own head camera: X is what TF says, TF is not published over, and no hand is needed."""
    T_base_exo = compose(np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0.0, 0.2, 0.5])
    T_base_ego = compose(np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0.1, 0.0, 0.6])
    with rig(params_file=write_yaml(tmp_path / "p.yaml", "viewpoint: {backend: tf}\nframes: {ego: head}")) as made:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        static = made.node.create_publisher(TFMessage, "/tf_static", latched)
        made.listen("/genego/ego/observation", EgoObservation)
        made.until_active()
        _, depth, camera = FRAMES[0]
        unknown = made.answer("/genego/ego/observation", made.send(BLANK, camera, depth))
        assert not unknown.valid
        assert made.until(lambda: [s for s in made.received["/genego/status"] if "TF knows no way" in s.message], "why")
        poses = []
        for child, pose in ((FRAME_ID, T_base_exo), ("head", T_base_ego)):
            transform = TransformStamped(child_frame_id=child, transform=to_transform(pose))
            transform.header.frame_id = "base"
            poses.append(transform)
        static.publish(TFMessage(transforms=poses))
        made.spin(0.5)
        observation = made.answer("/genego/ego/observation", made.send(BLANK, camera, depth))
        assert observation.valid
        expected = to_transform(invert(T_base_exo) @ T_base_ego)
        assert observation.pose.position.x == pytest.approx(expected.translation.x, abs=1e-9)
        assert observation.pose.orientation.w == pytest.approx(expected.rotation.w, abs=1e-9)
        assert made.node.count_publishers("/tf") == 0


def test_clouds_agree_with_each_other(composed: Rig) -> None:
    rgb, depth, camera = FRAMES[0]
    composed.listen("/genego/exo/points", PointCloud2)
    composed.listen("/genego/ego/points", PointCloud2)
    composed.listen("/tf", TFMessage)
    composed.spin(1.0)
    stamp = composed.send(rgb, camera, depth)
    exo = composed.answer("/genego/exo/points", stamp)
    ego = composed.answer("/genego/ego/points", stamp)
    assert (exo.height, exo.width) == depth.shape and ego.height == 1
    exo_points = np.frombuffer(exo.data, np.float32).reshape(-1, 4)[:, :3]
    ego_points = np.frombuffer(ego.data, np.float32).reshape(-1, 4)[:, :3]
    np.testing.assert_allclose(exo_points[:, 2].reshape(depth.shape), depth)
    (tf,) = composed.until(lambda: composed.received["/tf"], "a transform")[-1].transforms
    T_exo_ego = from_transform(tf.transform)
    inside = np.count_nonzero((exo_points[:, 2] >= 0.1) & (exo_points[:, 2] <= 8.0))
    # All but flying pixels, each where the exo camera saw it.
    assert 0.99 * inside < len(ego_points) <= inside
    back = apply(T_exo_ego, ego_points)
    pixels = back @ camera.matrix.T
    u, v = np.rint(pixels[:, :2] / pixels[:, 2:]).astype(int).T
    np.testing.assert_allclose(back, exo_points.reshape(*depth.shape, 3)[v, u], atol=1e-4)


def test_newest_frame_wins() -> None:
    rgb, _, camera = FRAMES[0]
    with rig() as made:
        made.listen("/genego/ego/observation", EgoObservation)
        made.until_active()
        made.answer("/genego/ego/observation", made.send(rgb, camera))
        sent = []
        for _ in range(100):  # at 100 Hz, which is more than the node can do
            sent.append(made.send(rgb, camera))
            made.spin(0.01)
        made.answer("/genego/ego/observation", sent[-1], 3.0)

        def all_accounted_for() -> bool:
            last = made.received["/genego/status"][-1]
            return last.frames_dropped > 0 and last.frames_processed + last.frames_dropped == last.frames_received

        made.until(all_accounted_for, "a status that accounts for every frame", 3.0)
        stamps = [conversions.from_time(m.header.stamp) for m in made.received["/genego/ego/observation"]]
        assert stamps == sorted(set(stamps)), "an output was repeated or out of order"


def test_lifecycle_and_run_time_parameters() -> None:
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    rgb, _, camera = FRAMES[0]
    with rig(autostart="false") as made:
        made.listen("/genego/ego/observation", EgoObservation)
        change = made.node.create_client(ChangeState, "/genego/genego_node/change_state")
        setter = made.node.create_client(SetParameters, "/genego/genego_node/set_parameters")
        made.until(change.service_is_ready, "the node", 40.0)

        def transition(number: int) -> bool:
            future = change.call_async(ChangeState.Request(transition=Transition(id=number)))
            return bool(made.until(future.done, "a transition", 40.0) and future.result().success)

        def set_width(width: int) -> str:
            value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=width)
            request = SetParameters.Request(parameters=[Parameter(name="ego.width", value=value)])
            future = setter.call_async(request)
            made.until(future.done, "an answer to set_parameters")
            (result,) = future.result().results
            return "" if result.successful else result.reason

        assert made.status("inactive").frames_processed == 0
        assert transition(Transition.TRANSITION_CONFIGURE)
        assert transition(Transition.TRANSITION_ACTIVATE)
        made.until(made.images.get_subscription_count, "a subscription")
        assert made.answer("/genego/ego/observation", made.send(rgb, camera)).image.width == 640
        assert set_width(8) != ""
        assert set_width(320) == ""
        assert made.answer("/genego/ego/observation", made.send(rgb, camera)).image.width == 320
        assert transition(Transition.TRANSITION_DEACTIVATE)
        count = len(made.received["/genego/ego/observation"])
        made.send(rgb, camera)
        made.spin(0.5)
        assert len(made.received["/genego/ego/observation"]) == count
        assert set_width(400) == ""  # while inactive
        assert transition(Transition.TRANSITION_ACTIVATE)
        made.until(made.images.get_subscription_count, "a subscription")
        assert made.answer("/genego/ego/observation", made.send(rgb, camera)).image.width == 400
        assert transition(Transition.TRANSITION_DEACTIVATE)
        assert transition(Transition.TRANSITION_CLEANUP)
        assert transition(Transition.TRANSITION_CONFIGURE)
        assert transition(Transition.TRANSITION_ACTIVATE)
        made.until(made.images.get_subscription_count, "a subscription")
        assert made.answer("/genego/ego/observation", made.send(rgb, camera)).valid


def test_a_description_may_come_by_a_topic(tmp_path: Path) -> None:
    text = "description: {backend: topic, rate_hz: 30.0}"
    with rig(params_file=write_yaml(tmp_path / "p.yaml", text), description_topic="/planner/says") as made:
        made.listen("/genego/description", SceneDescription)
        made.until_active()
        publisher = made.node.create_publisher(String, "/planner/says", 1)
        made.until(publisher.get_subscription_count, "the node listens")
        publisher.publish(String(data="opening a jar"))
        rgb, depth, camera = FRAMES[0]

        def told() -> bool:
            made.send(rgb, camera, depth)
            made.spin(0.2)
            return any(m.text == "opening a jar" and m.source == "topic" for m in made.received["/genego/description"])

        made.until(told, "the text")
