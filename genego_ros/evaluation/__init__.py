"""How good the views are: one ruler for every method."""
