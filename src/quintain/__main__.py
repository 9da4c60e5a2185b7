"""`python -m quintain` is `quintain`."""

import sys

from quintain.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
