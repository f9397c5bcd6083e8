"""Egocentric views from a third-person camera (GenEgo) for ROS 2."""

from pkgutil import extend_path

# `genego_ros.msg` is generated into the installation prefix; extending the path lets code
# that runs from the source tree find it there.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
