"""``python -m linerefine`` is ``linerefine``."""

import sys

from linerefine.cli import main

if __name__ == "__main__":
    sys.exit(main())
