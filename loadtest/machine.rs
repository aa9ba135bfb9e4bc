//! Where a measurement was made.
//!
//! Owns what a reader needs to judge figures: processors, memory, kernel, the disk under the queues and how long it takes
//! to sync. What cannot be found out is empty or absent. The sync test writes 800 KiB into a file without
//! a name, so nothing stays.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::result::Machine;

/// Writes of the sync test.
const WRITES: usize = 200;

/// Octets of each.
const WRITE: usize = 4096;

/// This machine, and the disk that holds `folder` (which is made when it is missing).
#[must_use]
pub fn describe(folder: &Path) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = rustix::system::uname();
    let _ = fs::create_dir_all(folder);
    Machine {
        cpus: thread::available_parallelism().map_or(1, usize::from),
        cpu_model: cpu_model(&read("/proc/cpuinfo")).unwrap_or_default(),
        memory_mib: memory_mib(&read("/proc/meminfo")).unwrap_or_default(),
        kernel: format!(
            "{} {}",
            kernel.sysname().to_string_lossy(),
            kernel.release().to_string_lossy()
        ),
        disk: fs::canonicalize(folder)
            .ok()
            .and_then(|folder| disk(&read("/proc/self/mountinfo"), &folder)),
        fdatasync_us: fdatasync(folder).ok().and_then(|time| u64::try_from(time.as_micros()).ok()),
    }
}

/// Median time of a write of 4 KiB and its fdatasync, each behind the one before, as a log is written.
///
/// # Errors
/// When the folder cannot be written to or the disk does not take it.
pub fn fdatasync(folder: &Path) -> io::Result<Duration> {
    let file = tempfile::tempfile_in(folder)?;
    let block = [b'r'; WRITE];
    let mut times = Vec::with_capacity(WRITES);
    let mut at = 0;
    for _ in 0..WRITES {
        let start = Instant::now();
        file.write_all_at(&block, at)?;
        file.sync_data()?;
        times.push(start.elapsed());
        at += WRITE as u64;
    }
    times.sort_unstable();
    Ok(times[WRITES / 2])
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? / 1024)
}

/// Device and file system of the mount that holds a path: the longest, and of those the last.
fn disk(mountinfo: &str, folder: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mount = left.split(' ').nth(4)?.replace("\\040", " ");
        let mut right = right.split(' ');
        let (kind, device) = (right.next()?, right.next()?);
        folder.starts_with(&mount).then(|| (mount.len(), format!("{device} {kind}")))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, disk)| disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_is_the_disk() {
        let mounts = "\
24 1 254:0 / / rw - ext4 /dev/vda rw
25 24 0:5 / /var rw - xfs /dev/vdb rw
26 24 0:6 / /var/tm rw - tmpfs none rw
27 24 0:7 / /my\\040disk rw master:1 - btrfs /dev/vdc rw
";
        assert_eq!(disk(mounts, Path::new("/home")).unwrap(), "/dev/vda ext4");
        assert_eq!(disk(mounts, Path::new("/var/tmp")).unwrap(), "/dev/vdb xfs");
        assert_eq!(disk(mounts, Path::new("/my disk/a")).unwrap(), "/dev/vdc btrfs");
    }

    #[test]
    fn processor_and_memory() {
        assert_eq!(cpu_model("a : b\nmodel name\t: AMD EPYC\n").unwrap(), "AMD EPYC");
        assert_eq!(memory_mib("MemTotal:       24683656 kB\n"), Some(24105));
    }

    #[test]
    fn this_machine_says_all_of_it() {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let machine = describe(folder.path());
        assert!(machine.cpus > 0 && machine.memory_mib > 0, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        assert!(machine.fdatasync_us.is_some() && machine.disk.is_some(), "{machine:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
