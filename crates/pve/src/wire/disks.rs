//! What a node's disks say: `zpool status -x`, `/proc/mdstat`, `multipathd show paths`.

use quorate_core::snapshot::{DiskPath, MdArray, ZfsPool};

/// `zpool status -x`: only pools with something to say, or one line that says that there is none.
///
/// # Errors
/// It is neither.
pub fn pools(output: &str) -> Result<Vec<ZfsPool>, String> {
    let mut pools: Vec<ZfsPool> = Vec::new();
    let mut in_status = false;
    for line in output.lines() {
        let (key, value) = line.trim().split_once(':').unwrap_or(("", line.trim()));
        // What zpool says goes on in lines that begin with a tab.
        let goes_on = in_status && line.starts_with('\t');
        in_status = goes_on || key == "status";
        match (key, pools.last_mut()) {
            ("pool", _) if !goes_on => {
                let name = value.trim().to_owned();
                pools.push(ZfsPool { name, state: "UNKNOWN".to_owned(), says: String::new() });
            }
            ("state", Some(pool)) if !goes_on => pool.state = value.trim().to_owned(),
            ("status", Some(pool)) if !goes_on => pool.says = value.trim().to_owned(),
            (_, Some(pool)) if goes_on => pool.says = format!("{} {}", pool.says, line.trim()),
            _ => {}
        }
    }
    let nothing = ["all pools are healthy", "no pools available"];
    if pools.is_empty() && !nothing.contains(&output.trim()) {
        return Err(format!("it printed {:?}", output.lines().next().unwrap_or_default()));
    }
    for pool in &mut pools {
        let end = pool.says.find(". ").map_or(pool.says.len(), |end| end + 1);
        pool.says.truncate(end);
    }
    Ok(pools)
}

/// `/proc/mdstat`: a line `md0 : active raid1 sdb1[1] sda1[0]`, and below it `976630464 blocks super 1.2 [2/2] [UU]`.
pub fn arrays(mdstat: &str) -> Vec<MdArray> {
    let mut arrays: Vec<MdArray> = Vec::new();
    for line in mdstat.lines() {
        match line.split_once(" : ").filter(|(name, _)| name.starts_with("md")) {
            Some((name, rest)) => {
                let active = rest.split_whitespace().next() == Some("active");
                arrays.push(MdArray { name: name.trim().to_owned(), active, disks: None });
            }
            // The container of a firmware RAID holds its description: it is never active.
            None if line.contains(" super external:") && arrays.last().is_some_and(|array| !array.active) => {
                arrays.pop();
            }
            None => {
                let counted = line.split_whitespace().find_map(counts);
                if let (Some(array), Some(counted)) = (arrays.last_mut(), counted) {
                    array.disks.get_or_insert(counted);
                }
            }
        }
    }
    arrays
}

/// `[2/1]`: of two disks one works.
fn counts(word: &str) -> Option<(u32, u32)> {
    let (of, works) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
    Some((of.parse().ok()?, works.parse().ok()?))
}

/// `multipathd show paths raw format "%m %d %T"`: device, path and what its checker says. A disk that belongs to no
/// device is an `[orphan]`.
///
/// # Errors
/// A line is not of this form.
pub fn paths(output: &str) -> Result<Vec<DiskPath>, String> {
    let lines = output.lines().filter(|line| !line.trim().is_empty());
    let path = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [map, device, state] => {
            Ok(DiskPath { map: map.to_owned(), device: device.to_owned(), state: state.to_owned() })
        }
        _ => Err(format!("it printed {line:?}")),
    };
    let all: Result<Vec<DiskPath>, String> = lines.map(path).collect();
    Ok(all?.into_iter().filter(|path| path.map != "[orphan]").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pools_with_something_to_say_are_listed_and_anything_else_is_an_error() {
        assert_eq!(pools("all pools are healthy\n"), Ok(Vec::new()));
        assert_eq!(pools("no pools available\n"), Ok(Vec::new()));
        assert!(pools("internal error: out of memory\n").is_err());
        let output = "  pool: rpool\n state: DEGRADED\nstatus: One or more devices has been removed by the administrator.\n\
                      \tSufficient replicas exist for the pool to continue functioning in a\n\tdegraded state.\n\
                      action: Online the device using zpool online'.\n  scan: none requested\nconfig:\n\n\
                      \tNAME        STATE     READ WRITE CKSUM\n\trpool       DEGRADED     0     0     0\n\n\
                      errors: No known data errors\n\n  pool: tank\n state: ONLINE\n\
                      status: One or more devices has experienced an\n\tunrecoverable error.  An attempt was made.\n";
        let found = pools(output).unwrap();
        let of = |pool: &ZfsPool| format!("{} {}: {}", pool.name, pool.state, pool.says);
        assert_eq!(of(&found[0]), "rpool DEGRADED: One or more devices has been removed by the administrator.");
        assert_eq!(of(&found[1]), "tank ONLINE: One or more devices has experienced an unrecoverable error.");
    }

    #[test]
    fn an_array_says_how_many_of_its_disks_work() {
        let mdstat = "Personalities : [raid1] [raid0]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n      \
                      976630464 blocks super 1.2 [2/1] [U_]\n      bitmap: 3/8 pages [12KB], 65536KB chunk\n\n\
                      md1 : active (auto-read-only) raid1 sdd1[1] sdc1[0]\n      976630464 blocks [2/2] [UU]\n\n\
                      md2 : active raid0 sde[0] sdf[1]\n      1953258496 blocks super 1.2 512k chunks\n\n\
                      md3 : inactive sdg[0](S)\n      976630464 blocks super 1.2\n\n\
                      md127 : inactive sdh[1](S) sdi[0](S)\n      5032 blocks super external:imsm\n\n\
                      unused devices: <none>\n";
        let found: Vec<_> = arrays(mdstat).into_iter().map(|array| (array.name, array.active, array.disks)).collect();
        let expected =
            [("md0", true, Some((2, 1))), ("md1", true, Some((2, 2))), ("md2", true, None), ("md3", false, None)];
        assert_eq!(found, expected.map(|(name, active, disks)| (name.to_owned(), active, disks)));
    }

    #[test]
    fn a_disk_that_is_no_path_is_left_out_and_an_unknown_line_is_an_error() {
        let found = paths("mpatha sdb ready\nmpatha sdc faulty\n[orphan] sda undef\n").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[1].map.as_str(), found[1].device.as_str(), found[1].state.as_str()),
            ("mpatha", "sdc", "faulty")
        );
        assert!(paths("timeout\n").is_err());
    }
}
