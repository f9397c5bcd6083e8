"""`./genego train baseline NAME DATASET`: trains a method that GenEgo is measured against."""

from __future__ import annotations

import argparse

from genego_ros.commands import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    train.add_training_arguments(parser, train.BASELINES)


def run(args: argparse.Namespace) -> int:
    """As `train.run`.

    Raises:
        GenEgoError: likewise.
    """
    return train.run(args)
