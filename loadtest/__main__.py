"""`python -m loadtest`."""

import sys

if __name__ == "__main__":
    try:
        from loadtest.cli import main  # here, because client processes load this file too and need none of it

        sys.exit(main())
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)
