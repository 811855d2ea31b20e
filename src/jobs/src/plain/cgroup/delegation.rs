use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::FILES;

/// A group in which ours may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delegation {
    /// The group that holds one for each run.
    pub(crate) runs: PathBuf,
    /// The limits that it cannot keep, for want of a controller.
    pub(crate) missing: Vec<&'static str>,
}

/// Where the daemon itself goes: a group with processes of its own can give no controllers to groups inside it.
const DAEMON: &str = "ringrift-daemon";
/// Where the runs go.
const RUNS: &str = "ringrift-runs";
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];
/// Processes can be made while others are moved.
const ROUNDS: usize = 10;

/// Takes over the part of the tree that the daemon is in, if it was given to it; otherwise says why there is none.
pub(crate) fn delegated() -> Result<Delegation, String> {
    let (group, is_root) = own_group()?;
    let given = is_root
        || ["user.delegate", "trusted.delegate"].iter().any(|name| {
            let mut value = [0; 4];
            rustix::fs::getxattr(&group, *name, &mut value[..]).is_ok_and(|length| &value[..length] == b"1")
        });
    if !given {
        return Err(format!("{} is not delegated to this daemon (Delegate= of its unit)", group.display()));
    }
    take(&group).map_err(|error| format!("{} cannot be used: {error}", group.display()))
}

/// The group that the daemon was started in, and whether it is the root of what can be seen.
fn own_group() -> Result<(PathBuf, bool), String> {
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("/proc/self/cgroup: {error}"))?;
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).ok_or("there is no cgroup v2 here")?;
    let (root, mount) = mounted(&mounts).ok_or("no cgroup v2 is mounted here")?;
    // A mount that shows other groups, as one made before this namespace of groups does, begins elsewhere.
    let inside = path.strip_prefix(root.trim_end_matches('/')).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let inside =
        inside.ok_or_else(|| format!("{mount} does not show the group of this daemon"))?.trim_start_matches('/');
    // A daemon that was started before has moved itself.
    let inside = inside.strip_suffix(DAEMON).map_or(inside, |before| before.trim_end_matches('/'));
    Ok((Path::new(&mount).join(inside), inside.is_empty()))
}

/// Root and mount point of the cgroup2 file system (`proc_pid_mountinfo(5)`).
fn mounted(mounts: &str) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        after.starts_with("cgroup2 ").then(|| (root.to_owned(), mount.to_owned()))
    })
}

fn take(group: &Path) -> io::Result<Delegation> {
    let runs = group.join(RUNS);
    make(&runs)?;
    let offered = fs::read_to_string(group.join("cgroup.controllers"))?;
    let offered: Vec<&str> =
        CONTROLLERS.into_iter().filter(|name| offered.split_whitespace().any(|o| o == *name)).collect();
    // Before the first controller: one of those that count threads could be had with processes about, and would then make the
    // groups inside unfit for any. The root of the machine has no type, and no such rule.
    if group.join("cgroup.type").exists() && !offered.is_empty() {
        make_room(group)?;
    }
    for name in &offered {
        // One that cannot be had is seen below by the file that is missing.
        let _ = enable(group, name);
    }
    let has = |file: &str| runs.join(file).exists();
    for name in offered {
        let _ = enable(&runs, name);
    }
    let missing = FILES.into_iter().filter(|(_, file)| !has(file)).map(|(limit, _)| limit).collect();
    Ok(Delegation { runs, missing })
}

fn enable(group: &Path, controller: &str) -> io::Result<()> {
    fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))
}

/// Moves the processes of a group into one inside it.
fn make_room(group: &Path) -> io::Result<()> {
    let inner = group.join(DAEMON);
    make(&inner)?;
    for _ in 0..ROUNDS {
        let processes = fs::read_to_string(group.join("cgroup.procs"))?;
        if processes.trim().is_empty() {
            break;
        }
        for process in processes.lines() {
            // It may have ended, or be one that cannot be moved: then the controllers cannot be had.
            let _ = fs::write(inner.join("cgroup.procs"), process);
        }
    }
    Ok(())
}

fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_among_others() {
        let mounts = "24 30 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 24 0:27 /docker/a /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(mounted(mounts), Some(("/docker/a".to_owned(), "/sys/fs/cgroup".to_owned())));
        assert_eq!(mounted("24 30 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }
}
