# SPDX-License-Identifier: GPL-2.0
"""What a result depends on, in a word: a hash over files of the tree, so that what was found of one tree is not taken for another's.

Job: the hash. What a result depends on is for who keeps it to say.
"""
import hashlib
import os
import subprocess


def tree_hash(top, matters):
    """Over what git has or would take, of the paths for which matters(path) is true."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=top, capture_output=True, text=True, check=True).stdout
    known = hashlib.sha256()
    for name in sorted(filter(None, listed.split("\0"))):
        path = os.path.join(top, name)
        if os.path.isfile(path) and matters(name):
            with open(path, "rb") as f:
                known.update(name.encode() + b"\0" + hashlib.sha256(f.read()).digest())
    return known.hexdigest()[:16]
