"""What is done to a whole tree: a job's directory is taken away with whatever the job has left in it, and all that was
written to a file system is brought to the disk. To be called as functions of `fsops`."""

import errno
import os


def remove_tree(path: str) -> bool:
    """Remove a job's directory and all that is in it on the same file system; True when it is gone.

    Follows no links, crosses no mount, opens what the job has closed to itself, and leaves what it cannot remove.
    """
    try:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.ENOENT
    try:
        _empty(parent, os.path.basename(path), os.stat(parent).st_dev)
    except (OSError, RecursionError):
        return False
    finally:
        os.close(parent)
    return True


def _empty(parent: int, name: str, device: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pass
    handle = _open_directory(parent, name)
    try:
        if os.fstat(handle).st_dev != device:
            raise OSError(errno.EXDEV, "a mounted file system is left alone", name)
        os.fchmod(handle, 0o700)
        for entry in os.listdir(handle):
            _empty(handle, entry, device)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=parent)


def _open_directory(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)


def sync_file_system(path: str) -> None:
    """Bring all that was written to the file system of `path` to the disk: one wait for many files."""
    import ctypes
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(handle)
