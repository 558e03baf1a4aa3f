"""`python -m videogate`."""

from videogate.cli import main

main()
