"""The classes of things that people in rendered recordings handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from numpy.random import Generator

from genego_ros.data.synthetic import goods, vessels
from genego_ros.data.synthetic.object_model import Made, ObjectModel, centred
from genego_ros.errors import GenEgoError

MAKERS: Mapping[str, Callable[[Generator], Made]] = {
    "book": goods.book,
    "bottle": vessels.bottle,
    "spray bottle": vessels.spray_bottle,
    "milk carton": goods.milk_carton,
    "can": vessels.can,
    "cereal box": goods.cereal_box,
    "mug": vessels.mug,
    "bowl": vessels.bowl,
    "jar": vessels.jar,
    "box": goods.lidded_box,
    "screwdriver": goods.screwdriver,
    "hammer": goods.hammer,
    "smartphone": goods.smartphone,
    "plate": vessels.plate,
    "teapot": vessels.teapot,
    "sponge": goods.sponge,
    "frying pan": vessels.pan,
    "torch": vessels.torch,
    "squeeze bottle": vessels.squeeze_bottle,
    "remote control": goods.remote_control,
    "glue stick": goods.glue_stick,
}
OBJECT_NAMES: dict[int, str] = dict(enumerate(MAKERS, start=1))
"""Class number to name."""


def make_object(number: int, rng: Generator) -> ObjectModel:
    """An instance of a class, with its own size, colours and print.

    Raises:
        GenEgoError: there is no class of that number.
    """
    if number not in OBJECT_NAMES:
        raise GenEgoError(f"there is no object class {number}; the classes are 1 to {len(OBJECT_NAMES)}")
    name = OBJECT_NAMES[number]
    return centred(number, name, MAKERS[name](rng))
