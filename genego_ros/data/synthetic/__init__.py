"""Rendered recordings of people at work with their hands, in H2O's folder format."""
