"""Checkpoints in parts small enough to be carried: split on one machine, put together and checked on another.

    python -m nano_omni.training.carry pack DIR/final DIR/whole --out PARTS       # final.tar.0, final.tar.1, …
    python -m nano_omni.training.carry unpack PARTS --out DIR                     # DIR/final, DIR/whole

What is packed is a directory or a single file. A list of parts with their checksums goes along.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

PART_BYTES = 16_700_000
LIST = "parts.json"


def pack(what: Sequence[Path], out: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Write each of `what` as numbered parts of at most `part_bytes` to `out`; returns them and the list."""
    out.mkdir(parents=True, exist_ok=True)
    written, listed = list[Path](), dict[str, list[str]]()
    for one in what:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(one, arcname=one.name)
        data, name = buffer.getvalue(), f"{one.name}.tar"
        cut = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]
        listed[name] = [hashlib.sha256(part).hexdigest() for part in cut]
        for index, part in enumerate(cut):
            written.append(out / f"{name}.{index}")
            written[-1].write_bytes(part)
    known = out / LIST
    known.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    return [*written, known]


def unpack(parts: Path, out: Path) -> list[Path]:
    """Put together what `pack` wrote; returns the directories and files.

    Raises:
        ValueError: a part is missing or has changed.
    """
    found = []
    for name, sums in json.loads((parts / LIST).read_text(encoding="utf-8")).items():
        data = b"".join(_part(parts / f"{name}.{index}", checksum) for index, checksum in enumerate(sums))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(out, filter="data")
        found.append(out / name.removesuffix(".tar"))
    return found


def _part(path: Path, checksum: str) -> bytes:
    if not path.exists():
        raise ValueError(f"{path.name} is missing: carry all parts that {LIST} lists")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ValueError(f"{path.name} has changed on the way: carry it again")
    return data


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing, unpacking = commands.add_parser("pack"), commands.add_parser("unpack")
    packing.add_argument("what", type=Path, nargs="+")
    unpacking.add_argument("parts", type=Path)
    for command in (packing, unpacking):
        command.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    if chosen.command == "pack":
        for path in pack(chosen.what, chosen.out):
            print(f"{path.stat().st_size:9d}  {path}")
    else:
        for path in unpack(chosen.parts, chosen.out):
            print(path)


if __name__ == "__main__":
    main()
