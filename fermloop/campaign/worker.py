"""A process of a local campaign: jobs in, rows out, over the pipe it was given.

Started by ``fermloop.campaign.processes`` as ``python -m fermloop.campaign.worker FD PARENT``.
It dies with its parent.
"""

import os
import sys
from multiprocessing.connection import Connection


def main(fd: int, parent: int) -> None:
    """Run what comes over ``fd`` until the other end is closed."""
    from controller.planning.worker import die_with

    os.set_inheritable(fd, False)
    die_with(parent)
    from fermloop.campaign.batch import Job, run

    with Connection(fd) as pipe:
        pipe.send("ready")
        while True:
            try:
                job: Job = pipe.recv()
            except EOFError:
                return
            pipe.send(run(job))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
