"""`python -m devtools`: a command of `./dev`, inside the project's own Python environment."""

import sys

from devtools import cli

if __name__ == "__main__":
    sys.exit(cli.dispatch(cli.parse(sys.argv[1:])))
