"""``python -m stream_service`` is the ``omnidrop`` command."""

import sys

from stream_service.cli import main

sys.exit(main())
