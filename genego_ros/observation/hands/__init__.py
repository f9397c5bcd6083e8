"""The hands of the third-person picture: P_exo, and D_hand from their meshes."""
