"""Unpacks the collection community.proxmox, and nothing else, from the wheel of the package `ansible`.

The whole package holds a hundred collections, which take a minute to install; one of them is needed.
"""

import pathlib
import sys
import zipfile

COLLECTION = "ansible_collections/community/proxmox/"


def main(downloads, target):
    wheel = next(pathlib.Path(downloads).glob("ansible-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(COLLECTION)]
        assert names, f"{wheel.name} has no {COLLECTION}"
        archive.extractall(target, names)
    print(f"{len(names)} files of community.proxmox from {wheel.name}")


main(*sys.argv[1:])
