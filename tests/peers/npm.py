"""Packages of npm for a peer test: fetched by the lock file beside the test into the build folder, once per lock file."""

import os
import shutil
import subprocess


def there():
    return bool(shutil.which("node") and shutil.which("npm"))


def fetch(here, into, *programs):
    """The packages that here/package-lock.json names, in the folder into; programs of here are copied beside them."""
    mark = os.path.join(into, "fetched")
    with open(os.path.join(here, "package-lock.json"), "rb") as file:
        wanted = file.read()
    fetched = b""
    if os.path.exists(mark):
        with open(mark, "rb") as file:
            fetched = file.read()
    if fetched != wanted:
        shutil.rmtree(into, ignore_errors=True)
        os.makedirs(into)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(here, name), into)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=into, check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        with open(mark, "wb") as file:
            file.write(wanted)
    for name in programs:
        shutil.copy(os.path.join(here, name), into)
