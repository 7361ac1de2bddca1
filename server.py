"""`python server.py [flags]` is `reranker serve [flags]`."""

import sys

from reranker.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
