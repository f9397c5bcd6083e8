"""Measures stage 1, part by part, against what the recordings say.

Each part is a function that takes a `Case` and gives `Values` by name; `report` sums them up over a split.
"""
