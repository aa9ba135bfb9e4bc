//! A control group that a server is put into, so that the kernel adds up what its processes use.
//!
//! Owns one directory below this program's own cgroup: of version 2 (`cpu.stat`, kernel ≥ 4.15), else of
//! version 1's `cpuacct`. It counts every process that was ever in it, those that ended and those
//! whose parents never asked for them included; nothing else can do that. Where neither can be made
//! (no such mount, no right to write), [`Cgroup::create`] is `None` and the process tree is counted.
//! Dropping it removes the directory when no process is left in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::Cpu;

/// The number of the next group of this program.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Which kernel interface a group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    /// As `perf --cgroup` wants it: from the mount on. Version 2 only.
    name: Option<String>,
    version: Version,
}

impl Cgroup {
    /// Makes a group; `None` where this program may not.
    #[must_use]
    pub fn create() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        [Version::V2, Version::V1].into_iter().find_map(|version| {
            let (mount, inside) = own_group(version, &mounts, &own)?;
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let directory = format!("ringpost-loadtest-{}-{number}", process::id());
            let path = mount.join(&inside).join(&directory);
            fs::create_dir(&path).ok()?;
            let name = Path::new(&inside).join(directory).to_str().map(str::to_owned);
            let group = Self { path, name: name.filter(|_| version == Version::V2), version };
            group.cpu().is_some().then_some(group)
        })
    }

    /// A group that somebody else made and keeps; `None` when the directory is none.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        [Version::V2, Version::V1].into_iter().find_map(|version| {
            let group = Self { path: path.to_owned(), name: None, version };
            group.cpu().is_some().then_some(group)
        })
    }

    /// Its directory; a process that writes `0` into `cgroup.procs` there enters it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name for `perf --cgroup`, where perf can count by it (version 2).
    #[must_use]
    pub fn perf_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The processes in it now.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let list = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// What all processes that were ever in it used; `None` when it is gone.
    #[must_use]
    pub fn cpu(&self) -> Option<Cpu> {
        match self.version {
            Version::V2 => parse_cpu_stat(&fs::read_to_string(self.path.join("cpu.stat")).ok()?),
            Version::V1 => {
                let read = |name: &str| -> Option<u64> {
                    fs::read_to_string(self.path.join(name)).ok()?.trim().parse().ok()
                };
                // Nanoseconds.
                let user_us = read("cpuacct.usage_user")? / 1000;
                Some(Cpu { user_us, system_us: read("cpuacct.usage_sys")? / 1000 })
            }
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Busy while a process is left in it; then whoever ends that one removes it.
        let _ = fs::remove_dir(&self.path);
    }
}

/// `user_usec` and `system_usec` of a version 2 group.
fn parse_cpu_stat(text: &str) -> Option<Cpu> {
    let field = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    Some(Cpu { user_us: field("user_usec ")?, system_us: field("system_usec ")? })
}

/// Where the hierarchy is mounted, and this program's own group in it (relative, may be empty).
fn own_group(version: Version, mounts: &str, own: &str) -> Option<(PathBuf, String)> {
    let (mount, root) = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let (kind, _, options) = (right.next()?, right.next()?, right.next()?);
        let fits = match version {
            Version::V2 => kind == "cgroup2",
            Version::V1 => kind == "cgroup" && options.split(',').any(|word| word == "cpuacct"),
        };
        let mut left = left.split(' ').skip(3);
        let (root, mount) = (left.next()?, left.next()?);
        fits.then(|| (PathBuf::from(mount), root))
    })?;
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let fits = match version {
            Version::V2 => controllers.is_empty(),
            Version::V1 => controllers.split(',').any(|word| word == "cpuacct"),
        };
        fits.then_some(path)
    })?;
    // A mount in a container may show only a part of the hierarchy.
    let inside = group.strip_prefix(root.trim_end_matches('/'))?;
    Some((mount, inside.trim_start_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 24 0:26 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn finds_the_own_group_of_both_versions() {
        let own = "3:cpu,cpuacct:/user.slice\n0::/user.slice/a.scope\n";
        let (mount, inside) = own_group(Version::V2, MOUNTS, own).unwrap();
        assert_eq!(
            (mount.to_str().unwrap(), inside.as_str()),
            ("/sys/fs/cgroup/unified", "user.slice/a.scope")
        );
        let (mount, inside) = own_group(Version::V1, MOUNTS, own).unwrap();
        assert_eq!(
            (mount.to_str().unwrap(), inside.as_str()),
            ("/sys/fs/cgroup/cpuacct", "user.slice")
        );
        assert!(own_group(Version::V2, "", own).is_none());
    }

    #[test]
    fn a_mount_may_show_a_part() {
        let mounts = "31 24 0:27 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let (_, inside) = own_group(Version::V2, mounts, "0::/docker/x\n").unwrap();
        assert_eq!(inside, "");
        assert!(own_group(Version::V2, mounts, "0::/other\n").is_none());
    }

    #[test]
    fn reads_cpu_stat() {
        let text = "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnice_usec 0\n";
        assert_eq!(parse_cpu_stat(text), Some(Cpu { user_us: 10, system_us: 20 }));
        assert_eq!(parse_cpu_stat("user_usec 1\n"), None);
    }
}
