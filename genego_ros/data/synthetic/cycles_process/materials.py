"""Surfaces: the material of scene.py as a Principled BSDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

SKIN_RADIUS_M = (0.00367, 0.00137, 0.00068)
"""How far red, green and blue light travel below the surface: "Skin1" of Jensen et al. 2001, table 1."""
CORNER_COLORS = "tint"
"""Attribute of a mesh; Cycles gives black for one that is called "color"."""


def new_image(name: str, pixels: NDArray[Any], space: str) -> Any:
    """A picture from (H, W, 3), uint8 or float32, the top row first."""
    height, width = pixels.shape[:2]
    is_float = pixels.dtype != np.uint8
    image = bpy.data.images.new(name, width, height, float_buffer=is_float)
    image.colorspace_settings.name = space
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1] if is_float else pixels[::-1] / np.float32(255)
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


def new_material(words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """`arrays` may have "texture" uint8 (H, W, 3) and "bump" float32 (H, W), metres; "has_colors" in `words` says that
    the mesh brings a colour attribute."""
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    surface = nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = words["roughness"]
    surface.inputs["Metallic"].default_value = words["metallic"]
    surface.inputs["Subsurface Weight"].default_value = words["subsurface"]
    surface.inputs["Subsurface Scale"].default_value = 1.0
    surface.inputs["Subsurface Radius"].default_value = SKIN_RADIUS_M
    surface.inputs["Emission Strength"].default_value = words["emission"]

    color = nodes.new("ShaderNodeRGB").outputs["Color"]
    color.default_value = (*words["color"], 1.0)
    factors = []
    if "texture" in arrays:
        factors.append(_textured(nodes, new_image("texture", arrays["texture"], "sRGB")).outputs["Color"])
    if words["has_colors"]:
        attribute = nodes.new("ShaderNodeAttribute")
        attribute.attribute_name = CORNER_COLORS
        factors.append(attribute.outputs["Color"])
    for factor in factors:
        product = nodes.new("ShaderNodeVectorMath")
        product.operation = "MULTIPLY"
        links.new(color, product.inputs[0])
        links.new(factor, product.inputs[1])
        color = product.outputs["Vector"]
    links.new(color, surface.inputs["Base Color"])
    links.new(color, surface.inputs["Emission Color"])

    if "bump" in arrays:
        height = np.repeat(arrays["bump"][..., None], 3, axis=2)
        bump = nodes.new("ShaderNodeBump")
        # The slope comes from the height in metres and where the texture lies on the surface.
        bump.inputs["Distance"].default_value = 1.0
        links.new(_textured(nodes, new_image("bump", height, "Non-Color")).outputs["Color"], bump.inputs["Height"])
        links.new(bump.outputs["Normal"], surface.inputs["Normal"])
    return material


def _textured(nodes: Any, image: Any) -> Any:
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    return node
