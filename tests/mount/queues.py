# SPDX-License-Identifier: MIT
"""What the scripts of several suites do with queues."""

import errno
import os
import time


def mkdir(path, mode=0o777):
    """Makes a queue. Where root has no CAP_SYS_RESOURCE, the kernel counts root's queues of all suites
    that run, and those that are gone until it frees them."""
    end = time.monotonic() + 20
    while True:
        try:
            os.mkdir(path, mode)
            return
        except OSError as error:
            if error.errno != errno.ENOSPC or time.monotonic() > end:
                raise
        time.sleep(0.02)
