"""`python -m genego_ros`."""

import sys

from genego_ros.cli import main

# Processes that are started by multiprocessing import this module again.
if __name__ == "__main__":
    sys.exit(main())
