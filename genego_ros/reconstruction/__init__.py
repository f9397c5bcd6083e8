"""Stage 2 (PHI_ego): from the sparse egocentric map to the whole view."""
