"""``python -m gateway.cli`` is the command coldchain, of this very interpreter."""

from gateway.cli import main

main()
