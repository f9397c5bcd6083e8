"""Stage 1 (PHI_exo): what the third-person picture tells."""
