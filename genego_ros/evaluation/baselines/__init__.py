"""The learned methods that GenEgo is measured against: small implementations of our own, from their papers.

Each has its networks and its `Method` here, and learns in `training.baselines`. None is trained by a perceptual loss:
the one pretrained network at hand judges the results (`metrics`), and who learned from the judge would be judged
kindly. So pix2pixHD and GenEgo do without alike.
"""
