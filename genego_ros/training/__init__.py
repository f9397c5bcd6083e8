"""Training of the networks, on the recordings of genego_ros.data."""
