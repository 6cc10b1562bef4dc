//! `qm list`: the virtual machines of one node, as the node itself knows them.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmLine {
    /// Its number.
    pub vmid: u32,
    /// Its name; may hold blanks or be empty.
    pub name: String,
    /// QEMU's state where known (`running`, `paused`, `prelaunch`, …), else `running` or `stopped`.
    pub status: String,
}

/// All lines; nothing at all is printed when there is no VM.
///
/// Names of more than 20 characters shift the columns, so the line is read from both ends.
pub fn parse(output: &str) -> Result<Vec<VmLine>, String> {
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        None => return Ok(Vec::new()),
        Some(heading) if heading.contains("VMID") => {}
        Some(other) => return Err(format!("qm list began with {other:?}")),
    }
    lines.map(|line| parse_line(line).ok_or_else(|| format!("qm list printed {line:?}"))).collect()
}

fn parse_line(line: &str) -> Option<VmLine> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // VMID NAME… STATUS MEM BOOTDISK PID; a name may be missing.
    let (vmid, rest) = words.split_first()?;
    let [name @ .., status, memory, disk, pid] = rest else { return None };
    let numeric = |text: &str| text.parse::<f64>().is_ok();
    if !(numeric(memory) && numeric(disk) && numeric(pid)) {
        return None;
    }
    Some(VmLine { vmid: vmid.parse().ok()?, name: name.join(" "), status: (*status).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_does_not_shift_the_state() {
        let text = "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n\
                    \x20      101 a-name-of-more-than-twenty-characters paused     4096              32.00 12345     \n";
        let lines = parse(text).unwrap();
        assert_eq!((lines[0].vmid, lines[0].status.as_str()), (101, "paused"));
        assert_eq!(parse(""), Ok(vec![]));
        assert!(parse("ipcc_send_rec failed: Connection refused\n").is_err(), "an error text is not an empty list");
    }
}
