"""Recordings, videos and pictures, in and out."""
