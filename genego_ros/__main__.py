"""`python -m genego_ros`."""

import sys

from genego_ros.cli import main

sys.exit(main())
