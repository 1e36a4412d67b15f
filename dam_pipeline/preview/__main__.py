"""`python -m dam_pipeline.preview`: what `dam ui` starts as a process of its own."""

import argparse

from dam_pipeline.preview.server import serve
from dam_pipeline.settings import load_settings


def main() -> None:
    """Serve the library of DAM_HOME until told to stop."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m dam_pipeline.preview", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to")
    parser.add_argument("--port", type=int, default=settings.preview_port, help="port to bind to")
    given = parser.parse_args()
    serve(settings, given.host, given.port)


if __name__ == "__main__":
    main()
