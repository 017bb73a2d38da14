#!/usr/bin/env python3
"""Brings SwiftShader, a second Vulkan driver that needs no GPU, for the tests.

    swiftshader.py FOLDER [CACHE]

writes FOLDER/libvk_swiftshader.so, FOLDER/vk_swiftshader_icd.json (its manifest for the Vulkan loader) and
FOLDER/version. A folder that holds this version already is kept; the library is kept in CACHE as well, and taken from
there rather than fetched again.

No distribution packages SwiftShader; headless Chromium carries it, and the npm package `@sparticuz/chromium` carries
that. Archive and library are taken only with the digests written here. Needs the Python package `brotli`.
npm_config_registry names a mirror of npm's registry; proxies are taken from the environment.
"""

import base64
import hashlib
import io
import json
import os
import shutil
import ssl
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

VERSION = "153.0.0"
# As the registry states it, for the archive as a whole.
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
LIBRARY_SHA256 = "2f3ceffaaca7d031bc3943f8eacf398a5d9c42c5fe0d15d8840b9acfa630b58e"
REGISTRY = "https://registry.npmjs.org"

LIBRARY = "libvk_swiftshader.so"
MANIFEST = "vk_swiftshader_icd.json"
ATTEMPTS = 4
SECONDS = 60


def certificates():
    """TLS contexts to try: the system's certificates, then those that pip carries (small images have none)."""
    yield ssl.create_default_context()
    try:
        from pip._vendor import certifi
    except ImportError:
        return
    yield ssl.create_default_context(cafile=certifi.where())


def download(url, target):
    """Writes the file at `url` to the open file `target`, from its beginning again after a failure."""
    contexts = list(certificates())
    for attempt in range(ATTEMPTS):
        try:
            target.seek(0)
            target.truncate()
            with urllib.request.urlopen(url, timeout=SECONDS, context=contexts[0]) as reply:
                shutil.copyfileobj(reply, target, 1 << 20)
            return
        except (OSError, urllib.error.URLError) as error:
            unknown = isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
            if unknown and len(contexts) > 1:
                contexts.pop(0)
            elif attempt + 1 == ATTEMPTS:
                sys.exit(f"swiftshader.py: {url}: {error}")
            time.sleep(attempt)


def verify(file, expect):
    file.seek(0)
    digest = hashlib.sha512()
    while piece := file.read(1 << 20):
        digest.update(piece)
    found = base64.b64encode(digest.digest()).decode()
    if found != expect:
        sys.exit(f"swiftshader.py: the archive has the SHA-512 {found}, not {expect}: it was changed on its way")


def library_in(archive):
    """The driver's bytes: a tar archive compressed with brotli, inside the package."""
    import brotli

    archive.seek(0)
    with tarfile.open(fileobj=archive, mode="r:gz") as package:
        packed = package.extractfile("package/bin/swiftshader.tar.br").read()
    with tarfile.open(fileobj=io.BytesIO(brotli.decompress(packed)), mode="r:") as inner:
        return inner.extractfile(LIBRARY).read()


def is_whole(library):
    return hashlib.sha256(library).hexdigest() == LIBRARY_SHA256


def fetch(folder):
    """The driver's bytes, from the registry."""
    registry = (os.environ.get("npm_config_registry") or REGISTRY).rstrip("/")
    with tempfile.TemporaryFile(dir=folder) as archive:
        download(f"{registry}/@sparticuz/chromium/-/chromium-{VERSION}.tgz", archive)
        verify(archive, SHA512)
        library = library_in(archive)
    if not is_whole(library):
        sys.exit(f"swiftshader.py: {LIBRARY} in the archive has another SHA-256 than {LIBRARY_SHA256}")
    return library


def cached(path):
    """The driver's bytes from the cache, or nothing where they are not there as they were."""
    try:
        library = path.read_bytes()
    except OSError:
        return None
    return library if is_whole(library) else None


def keep(path, library):
    """Puts the library into the cache in one step; a cache that cannot be written is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_bytes(library)
        partial.replace(path)
    except OSError:
        pass


def manifest_of(library):
    """A manifest with the library's whole path, so that it does not matter where the loader looks from."""
    return json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": str(library), "api_version": "1.1.0"}})


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: swiftshader.py FOLDER [CACHE]")
    folder = Path(sys.argv[1]).absolute()
    kept = Path(sys.argv[2]).absolute() / f"libvk_swiftshader-{VERSION}.so" if len(sys.argv) == 3 else None
    state = f"{VERSION} {folder}\n"
    version = folder / "version"
    if version.exists() and version.read_text() == state and (folder / LIBRARY).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    version.unlink(missing_ok=True)
    library = cached(kept) if kept else None
    if library is None:
        library = fetch(folder)
        if kept:
            keep(kept, library)
    (folder / LIBRARY).write_bytes(library)
    (folder / MANIFEST).write_text(manifest_of(folder / LIBRARY) + "\n")
    # Last: its presence says that the folder is whole.
    version.write_text(state)


if __name__ == "__main__":
    main()
