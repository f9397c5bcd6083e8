"""Under which topics the third-person camera will be played. Imports nothing of ROS.

`python -m genego_ros.ros.camera_topics BAG [IMAGE_TOPIC]` prints those of a bag as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from genego_ros.data.bag_storage import is_bag
from genego_ros.data.bag_topics import TRUTH_PREFIX
from genego_ros.data.bags import inspect_bag
from genego_ros.data.pictures import open_pictures
from genego_ros.errors import GenEgoError

PLAYED_PICTURES = "/camera/image_raw/compressed"
"""Where pictures that are no bag are played."""
_PHOTO_S = 3.0
"""How long a single photo is shown to the nodes."""


@dataclass(frozen=True)
class CameraTopics:
    """The third-person camera in what is played."""

    image: str
    camera_info: str
    depth: str
    frames: int | None
    """How many pictures will come; None where a video does not say."""
    seconds: float | None = None
    """When to stop playing; None: at the end."""


def find_camera(source: Path, image_topic: str | None) -> CameraTopics:
    """The topics under which `source` will be played.

    Raises:
        GenEgoError: no such source, or a bag without a picture topic.
    """
    if not is_bag(source):
        pictures = open_pictures(source)
        played = CameraTopics(PLAYED_PICTURES, "/camera/camera_info", "/camera/depth/image_raw", pictures.count)
        if pictures.kind == "photo":
            return replace(played, frames=round(_PHOTO_S * pictures.rate_hz), seconds=_PHOTO_S)
        return played
    topics = inspect_bag(source).topics
    pictures_of = {
        topic.name: topic
        for topic in topics
        if topic.type in ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    }
    depths = [name for name in pictures_of if "depth" in name.lower()]
    # What the person's own camera saw is there to compare with.
    colors = [name for name in pictures_of if name not in depths and not name.startswith(f"{TRUTH_PREFIX}/")]
    if image_topic is not None and image_topic not in pictures_of:
        raise GenEgoError(f"'{image_topic}' is not a picture topic of {source}; those are: {', '.join(pictures_of)}")
    if not colors and image_topic is None:
        listed = ", ".join(sorted(topic.name for topic in topics)) or "none"
        raise GenEgoError(f"{source} has no camera topic (Image or CompressedImage); its topics: {listed}")
    image = image_topic or colors[0]
    if len(colors) > 1 and image_topic is None:
        print(
            f"{source} has several cameras, {image} is taken; the image topic can be another: {', '.join(colors[1:])}"
        )
    infos = [topic.name for topic in topics if topic.type == "sensor_msgs/msg/CameraInfo"]
    return CameraTopics(
        image=image,
        camera_info=_nearest(image, infos) or "/camera/camera_info",
        depth=_nearest(image, depths) or "/camera/depth/image_raw",
        frames=pictures_of[image].count,
    )


def _nearest(topic: str, names: Sequence[str]) -> str | None:
    """The name that shares the longest path with `topic`."""
    return max(names, key=lambda name: len(os.path.commonpath([name, topic])), default=None)


def main() -> int:
    bag, image_topic = Path(sys.argv[1]), "".join(sys.argv[2:3])
    try:
        if bag.exists() and not is_bag(bag):
            raise GenEgoError(
                f"'{bag}' is no bag; `genego play` plays videos and pictures, `genego convert` makes bags of data sets"
            )
        print(json.dumps(asdict(find_camera(bag, image_topic or None))))
    except GenEgoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
