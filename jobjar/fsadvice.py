"""What is known of kinds of file systems and their mount options, as advice to the owner of a jar.

Pure. A remark's level says what it means for the verdict: UNFIT, WEAK (a jar is safe here, but slow, late or short of
something) or NOTE.
"""

from collections import namedtuple

UNFIT, WEAK, NOTE = "unfit", "weak", "note"

Remark = namedtuple("Remark", "level subject text")

LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs")
MEMORY = ("tmpfs", "ramfs")
NFS = ("nfs", "nfs4")
PARALLEL = ("lustre", "gpfs", "beegfs", "ceph", "fuse.ceph", "fuse.ceph-fuse", "pvfs2", "fuse.glusterfs", "ocfs2",
            "gfs2")
WINDOWS = ("cifs", "smb3", "smbfs")
PLAIN = ("vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk")
# Those on which no other computer writes.
ALONE = (*LOCAL, *MEMORY, *PLAIN, "overlay", "aufs", "ecryptfs", "nilfs2")
OBJECTS = ("fuse.s3fs", "fuse.goofys", "fuse.gcsfuse", "fuse.rclone", "fuse.s3ql", "fuse.mount-s3")
SSHFS = "fuse.sshfs"

NFS_OPTIONS = "lookupcache=positive,acdirmin=1,acdirmax=5"
FUSE_OPTIONS = "attr_timeout=1,entry_timeout=1,negative_timeout=0"
SSHFS_OPTIONS = "dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0"

# A directory may be out of date as long as this, s, when the mount does not say otherwise.
ACDIRMAX = 60.0


def advise(kind: str, options: dict[str, str]) -> list[Remark]:
    """What is known of a file system of this kind with these mount options, before anything is measured."""
    return [*_of_kind(kind, options), *_of_any(options)]


def fresher(kind: str) -> str:
    """How other nodes' changes can be seen sooner on a file system of this kind."""
    if kind in NFS:
        return f"mount it with {NFS_OPTIONS} on every node"
    if kind == SSHFS:
        return f"mount it with -o {SSHFS_OPTIONS}, or better through NFS"
    if kind.startswith("fuse"):
        return f"mount it with -o {FUSE_OPTIONS} where that program has these options"
    if kind in WINDOWS:
        return "mount it with cache=strict,actimeo=1, or better through NFS"
    return "shorten the caching of directories in its mount options"


def _of_any(options: dict[str, str]) -> list[Remark]:
    found = []
    if "ro" in options:
        found.append(Remark(UNFIT, "read-only", "it is mounted read-only: mount it with rw"))
    if "noexec" in options:
        found.append(Remark(UNFIT, "noexec", "it is mounted noexec, so no job can be run: mount it with exec"))
    if "sync" in options:
        found.append(Remark(NOTE, "sync", "the mount option sync makes every write wait for the disk: leave it out,"
                                          " for what has to be synced is synced"))
    return found


def _of_kind(kind: str, options: dict[str, str]) -> list[Remark]:
    if kind in NFS:
        return _nfs(options)
    if kind in WINDOWS:
        return _windows(options)
    if kind == "9p" and options.get("cache", "none") not in ("none", "0"):
        return [Remark(WEAK, "cache", "9p with a cache may never show what others change: mount it with cache=none")]
    return [Remark(level, subject, text) for kinds, level, subject, text in _KINDS if kind in kinds] or _fuse(kind)


_KINDS = (
    (LOCAL, NOTE, "local disk", "only this computer sees it, unless it serves it to others by NFS, for example; then"
                                " measure where they see it"),
    (MEMORY, WEAK, "memory", "it lies in this computer's memory: all is gone at a reboot, and no other computer sees"
                             " it"),
    (("overlay", "aufs"), WEAK, "container", "it is the layer of a container and gone with it, and no other computer"
                                             " sees it: put the jar on a volume"),
    (PLAIN, WEAK, "kind", "it is made for exchange with other systems: put the jar on a file system of Linux"),
    (OBJECTS, UNFIT, "kind", "it is an object store, where a rename is a copy that two can make at once: put the jar on"
                             " NFS or a cluster's file system"),
    ((SSHFS,), WEAK, "sshfs", "it keeps listings for 20 s and a rename without posix-rename on the server is not one"
                              f" step: mount it with -o {SSHFS_OPTIONS}, for a few nodes only, or use NFS"),
    (PARALLEL, NOTE, "kind", "such a file system is made for many nodes; no option for locks is needed (flock,"
                             " localflock), for the jar has none"),
)


def _fuse(kind: str) -> list[Remark]:
    if not kind.startswith("fuse"):
        return [Remark(NOTE, "kind", f"nothing is known here of {kind}: only what was measured counts")]
    return [Remark(NOTE, "kind", f"a FUSE file system ({kind}) is as good as its program; how late it shows changes is"
                                 " mostly set by the options attr_timeout, entry_timeout and negative_timeout")]


def _windows(options: dict[str, str]) -> list[Remark]:
    found = [Remark(WEAK, "kind", "SMB is made for Windows: names, links and modes are only imitated, so use NFS if"
                                  " you can; else mount it with mfsymlinks,cache=strict,actimeo=1")]
    if options.get("cache") == "loose":
        found.append(Remark(WEAK, "cache", "cache=loose may show for ever what is no longer so: mount it with"
                                           " cache=strict"))
    return found


def _nfs(options: dict[str, str]) -> list[Remark]:
    found = []
    version = options.get("vers") or options.get("nfsvers") or "?"
    if not version.startswith("4") or version == "4.0":
        found.append(Remark(NOTE, "version", f"NFS {version}: from vers=4.1 on the server remembers what it has"
                                             " answered, so that a lost reply leaves no doubt; the programs cope with"
                                             " both"))
    if any(word in options for word in ("soft", "softerr")):
        found.append(Remark(WEAK, "soft", "a soft mount gives up on a slow server with an error that leaves open"
                                          " whether the change was made, and jobs fail by it: mount it with hard"))
    found += _nfs_caches(options)
    if "nolock" in options or options.get("local_lock", "none") != "none":
        found.append(Remark(NOTE, "locks", "locks are local to each node (nolock, local_lock): the jar has none, but"
                                           " your jobs may count on them"))
    found.append(Remark(NOTE, "export", "no node can see whether the server exports it with async; if it does, a power"
                                        " cut there loses what was said to be on the disk: export it with sync"))
    return found


def _nfs_caches(options: dict[str, str]) -> list[Remark]:
    if "noac" in options or options.get("actimeo") == "0":
        return [Remark(NOTE, "caches", "noac is safe but makes listings of long queues slow:"
                                       f" {NFS_OPTIONS} is enough")]
    latest = float(options.get("acdirmax") or options.get("actimeo") or ACDIRMAX)
    if options.get("lookupcache", "all") == "all" or latest > 5:
        return [Remark(NOTE, "caches", f"a name that was looked for in vain may stay unseen for {latest:.0f} s. The"
                                       " programs list directories instead, but yours and `test -e` do not:"
                                       f" {fresher('nfs')}")]
    return []
