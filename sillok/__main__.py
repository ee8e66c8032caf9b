"""`python -m sillok`."""

import sys

from sillok.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
