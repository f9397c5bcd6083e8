from __future__ import annotations

import pytest

from bench import data_folder
from bench.reprojection import compare, names

FOLDER = data_folder("rgbd_tabletop")


@pytest.mark.skipif(not names(FOLDER), reason=f"{FOLDER} is absent; set GENEGO_TEST_DATA")
@pytest.mark.parametrize("name", names(FOLDER))
def test_the_splat_agrees_with_a_ray_cast_mesh_of_the_same_depth(name: str) -> None:
    found = compare(FOLDER, name)
    assert found.agreeing >= 0.97
    assert found.coverage >= 0.999
