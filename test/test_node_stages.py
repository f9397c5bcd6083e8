"""The stages inside their nodes, in this process: what a frame leaves to the next, and whose frames they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from genego_ros.msg import EgoObservation
from rclpy.parameter import Parameter
from ros_rig import Rig, rig
from scene import sample
from sensor_msgs.msg import Image

from genego_ros.ros import observation_message
from genego_ros.ros.ego_reconstruction_node import EgoReconstructionNode
from genego_ros.ros.exo_observation_node import ExoObservationNode
from genego_ros.ros.parameters import declare_parameters, read_parameters
from genego_ros.types import ExoObservation, Frame, Hand

SECOND = 10**9
FRAME = replace(sample(1)[0], depth=None)
NOBODY = replace(FRAME, rgb=np.zeros_like(FRAME.rgb))


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    with rig(nodes=False) as made:
        rclpy.init()  # nodes that run by themselves have the process's own context
        yield made
        rclpy.shutdown()


@pytest.fixture
def exo(made: Rig) -> Iterator[ExoObservationNode]:
    node = ExoObservationNode()
    node.set_up()
    yield node
    node._release()
    node.destroy_node()


def process(node: ExoObservationNode, frame: Frame, stamp_s: float) -> ExoObservation:
    assert node._exo_stage is not None
    return node._exo_stage.process(replace(frame, stamp_ns=round(stamp_s * SECOND)))


def same(some: tuple[Hand, ...], others: tuple[Hand, ...]) -> bool:
    return len(some) == len(others) > 0 and all(
        np.array_equal(one.keypoints, other.keypoints) for one, other in zip(some, others, strict=True)
    )


def test_nothing_is_left_of_a_recording_that_starts_over(exo: ExoObservationNode) -> None:
    """18 frames with hands, then the empty room with which it begins, then the same hands as at first."""
    empty = process(exo, NOBODY, 100.0).description
    first = process(exo, FRAME, 100.1).hands_exo
    for second in range(1000, 1018):
        described = process(exo, FRAME, float(second)).description
    assert described != empty != ""
    again = process(exo, NOBODY, 100.0)
    assert (again.description, again.hands_exo) == (empty, ())
    assert same(process(exo, FRAME, 100.1).hands_exo, first)


def test_activation_begins_a_stream(exo: ExoObservationNode) -> None:
    first = process(exo, FRAME, 50.0).hands_exo
    for index in range(20):
        later = process(exo, FRAME, 50.0 + 0.03 * index).hands_exo
    assert not same(later, first)
    exo._activate()
    exo._deactivate()
    assert same(process(exo, FRAME, 51.0).hands_exo, first)


def test_stage_2_names_the_frame_that_stage_1_gave_to_tf(made: Rig, exo: ExoObservationNode) -> None:
    """The second host has a parameter file of its own, in which nobody has changed the frame."""
    ego = EgoReconstructionNode()
    ego.set_up()
    ego.open_inputs()
    made.listen("/ego/observation", EgoObservation)
    made.until(lambda: made.node.count_publishers("/ego/observation"), "stage 2")
    message = observation_message.to_message(process(exo, FRAME, 60.0), "robot/ego")
    ego._newest.put(message)
    ego._reconstruct(0.1)
    seen = made.answer("/ego/observation", 60 * SECOND)
    assert seen.header.frame_id == seen.image.header.frame_id == seen.camera.header.frame_id == "robot/ego"
    ego.destroy_node()


def test_confidence_is_made_and_published_while_somebody_listens(made: Rig, exo: ExoObservationNode) -> None:
    """`auto` without the weights of `lite`: its confidence is that of `geometric`, and status says who served."""
    ego = EgoReconstructionNode()
    ego.parameters = ego.parameters.changed(
        {"reconstruction.backend": "auto", "reconstruction.weights": "/nowhere/lite.safetensors"}
    )
    ego.set_up()
    assert ego._stage is not None
    unheard = ego._stage.process(process(exo, FRAME, 70.0), "ego")
    assert unheard.confidence is None and unheard.source == "geometric"
    made.listen("/ego/confidence", Image)
    made.until(lambda: ego.count_subscribers("/ego/confidence"), "a listener")
    made.until(lambda: made.node.count_publishers("/ego/confidence"), "stage 2")
    view = ego._stage.process(process(exo, FRAME, 71.0), "ego")
    heard = made.answer("/ego/confidence", 71 * SECOND)
    assert (heard.encoding, heard.header.frame_id) == ("mono8", "ego")
    levels = np.frombuffer(heard.data, np.uint8).reshape(heard.height, heard.width)
    np.testing.assert_array_equal(levels, view.seen * np.uint8(255))
    assert "since 'lite' cannot: /nowhere/lite.safetensors" in ego._frame_trouble
    ego.destroy_node()


@pytest.mark.parametrize(("given", "kept"), [(1, 1.0), (2.0, 2.0)])
def test_a_whole_number_serves_as_a_float(made: Rig, given: float, kept: float) -> None:
    overrides = [Parameter("viewpoint.distance", value=given), Parameter("ego.width", value=320)]
    node = rclpy.create_node("whole", parameter_overrides=overrides)
    assert declare_parameters(node) == []
    found = read_parameters(node)
    assert (found.viewpoint.distance, found.ego.width) == (kept, 320) and type(found.viewpoint.distance) is float
    node.destroy_node()


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("viewpoint.distance", 7, "'viewpoint.distance' is 7.0: it must lie between 0.1 and 2 m"),
        ("viewpoint.distance", True, "it must be a float"),
        ("ego.width", 320.0, "it must be a int"),
    ],
)
def test_other_wrong_numbers_are_still_refused(made: Rig, name: str, given: object, said: str) -> None:
    node = rclpy.create_node("wrong", parameter_overrides=[Parameter(name, value=given)])
    (problem,) = declare_parameters(node)
    assert said in problem
    node.destroy_node()
