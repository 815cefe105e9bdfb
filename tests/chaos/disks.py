"""Small disks for one broker, and damage to the files of one that is stopped."""
import os
import pathlib
import shutil
import subprocess

from harness import Invalid


def mount_small(run, place, megabytes, kind="tmpfs"):
    """A file system of its own under `place`, which goes away at the end of the run."""
    place.mkdir(parents=True, exist_ok=True)
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    else:
        image = run.dir / f"{place.name}.img"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)

    def unmount():
        subprocess.run(["umount", "-l", str(place)], check=False)
    run.undo.callback(unmount)
    return place


def fill(place, leave=0):
    """Takes the space of a file system, but for so many bytes. Returns how much it took."""
    path = place / "filler"
    taken = 0
    with open(path, "wb") as file:
        while True:
            free = os.statvfs(place)
            left = free.f_bavail * free.f_frsize - leave
            if left <= 0:
                break
            try:
                os.posix_fallocate(file.fileno(), taken, left)
                taken += left
            except OSError:
                if left < 8192:
                    break
                taken += _by_writing(file, taken, left)
                break
    if leave == 0:
        with open(path, "ab") as file:
            _by_writing(file, path.stat().st_size, 1 << 20)
    return path.stat().st_size


def _by_writing(file, at, left):
    done = 0
    try:
        while done < left:
            done += os.pwrite(file.fileno(), b"\0" * min(4096, left - done), at + done)
    except OSError:
        pass
    return done


def release(place):
    (place / "filler").unlink()


# Damage -------------------------------------------------------------------------------------------------------------

def newest(directory, pattern, at_least=1):
    """The file to damage, or Invalid where there is none of its kind."""
    found = sorted((p for p in directory.glob(pattern) if p.stat().st_size >= at_least), key=lambda p: p.name)
    if not found:
        raise Invalid(f"no file {pattern} of {at_least} bytes to damage")
    return found[-1]


def used_end(path):
    """Where content ends in a file that may be preallocated with zeros."""
    data = path.read_bytes().rstrip(b"\0")
    return len(data)


def flip(path, random, where="anywhere"):
    """One bit, in the used part of the file."""
    size = used_end(path)
    if size == 0:
        raise Invalid(f"{path} is empty")
    at = {"anywhere": lambda: random.randrange(size), "tail": lambda: size - 1 - random.randrange(min(size, 60)),
          "middle": lambda: size // 3 + random.randrange(max(1, size // 3))}[where]()
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << random.randrange(8)]))
    return f"bit flipped at {at} of {size} in {path.parent.name}/{path.name}"


def cut(path, random):
    size = used_end(path)
    keep = random.randrange(size) if size else 0
    with open(path, "r+b") as file:
        file.truncate(keep)
    return f"{path.parent.name}/{path.name} cut to {keep} of {size} bytes"


def zero(path, random):
    size = used_end(path)
    at = random.randrange(size) if size else 0
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\0" * (size - at))
    return f"{path.parent.name}/{path.name} zeroed from {at} of {size}"


def swap(path, random):
    """Another file of the same kind in its place."""
    alike = path.parent.name.rsplit("-", 1)[0] + "-*/"
    others = [p for p in path.parent.parent.glob(alike + path.name) if p != path and p.stat().st_size != path.stat().st_size]
    # A segment is called by its offset, which other partitions need not have.
    others = others or [p for p in path.parent.parent.glob(f"{alike}*{path.suffix}") if p.parent != path.parent and p.stat().st_size > 0]
    if not others:
        raise Invalid(f"no other {path.name} to swap with")
    other = random.choice(others)
    shutil.copyfile(other, path)
    return f"{path.parent.name}/{path.name} replaced by that of {other.parent.name}"


def lose(path, _random):
    path.unlink()
    return f"{path.parent.name}/{path.name} removed"


def copy_of(directory, to):
    return pathlib.Path(shutil.copytree(directory, to))
