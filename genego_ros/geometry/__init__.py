"""Geometry: cameras, rigid transformations, alignment, splatting and the hand model."""
