"""``python -m fermloop`` is ``fermloop``."""

from fermloop.cli import main

if __name__ == "__main__":
    main()
