"""`python -m reranker.cli` is `reranker`, where the script is not on the path."""

import sys

from reranker.cli import main

if __name__ == "__main__":
    sys.exit(main())
