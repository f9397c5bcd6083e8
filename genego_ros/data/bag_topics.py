"""The names of topics and frames in the bags that are made of data sets.

/camera/...                     the third-person camera, the topics of examples/sample
/tf_static                      world -> camera_optical_frame
/tf                             world -> truth_ego_camera_optical_frame, world -> truth_object
/truth/ego/...                  what the person's own camera saw, and its intrinsics
/truth/exo/hands, ego/hands     the hands in both cameras' frames
/truth/description              T_exo
"""

from __future__ import annotations

WORLD = "world"
EXO = "camera_optical_frame"
EGO = "truth_ego_camera_optical_frame"
"""Not the nodes' own name for it: TF holds their estimate beside the truth."""
OBJECT = "truth_object"

CAMERA_PREFIX = "/camera"
TRUTH_PREFIX = "/truth"
EGO_PREFIX = f"{TRUTH_PREFIX}/ego"
EXO_HANDS = f"{TRUTH_PREFIX}/exo/hands"
EGO_HANDS = f"{TRUTH_PREFIX}/ego/hands"
DESCRIPTION = f"{TRUTH_PREFIX}/description"
