//! `corosync-quorumtool -s`: votes and members as one node sees them.

/// The parsed output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorumtool {
    /// This node's id.
    pub node_id: u32,
    /// `Quorate: Yes`.
    pub quorate: bool,
    /// Votes expected.
    pub expected_votes: u32,
    /// Votes present.
    pub total_votes: u32,
    /// Votes needed.
    pub quorum: u32,
    /// `Quorate`, `Qdevice`, `2Node`, …
    pub flags: Vec<String>,
    /// Members, QDevice not included.
    pub members: Vec<MemberLine>,
    /// The QDevice's row.
    pub qdevice: Option<QdeviceLine>,
}

/// A member's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberLine {
    /// corosync's node id.
    pub node_id: u32,
    /// Its votes.
    pub votes: u32,
    /// Name or address, as printed.
    pub name: String,
    /// The Qdevice column of this row: `A,V,NMW`.
    pub qdevice: Option<String>,
    /// The row of the node that was asked.
    pub local: bool,
}

/// The QDevice's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QdeviceLine {
    /// Votes it is configured with.
    pub votes: u32,
    /// It is casting them now.
    pub casting: bool,
}

/// Reads the output; the exit status (2: not quorate) adds nothing to it.
pub fn parse(output: &str) -> Result<Quorumtool, String> {
    let value = |label: &str| {
        output.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':')).map(str::trim).ok_or_else(|| {
            let first = output.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            format!("corosync-quorumtool does not say {label:?}; it says {first:?}")
        })
    };
    let number = |label: &str| {
        let text = value(label)?;
        let word = text.split_whitespace().next().unwrap_or_default();
        parse_id(word).ok_or_else(|| format!("corosync-quorumtool says {label}: {text:?}"))
    };
    let node_id = number("Node ID")?;
    let mut tool = Quorumtool {
        node_id,
        quorate: value("Quorate")? == "Yes",
        expected_votes: number("Expected votes")?,
        total_votes: number("Total votes")?,
        quorum: number("Quorum")?,
        flags: value("Flags")?.split_whitespace().map(str::to_owned).collect(),
        members: Vec::new(),
        qdevice: None,
    };
    let table = output.lines().skip_while(|line| !line.trim_start().starts_with("Nodeid")).skip(1);
    for line in table.filter(|line| !line.trim().is_empty()) {
        read_row(&mut tool, line);
    }
    if tool.members.is_empty() {
        return Err("corosync-quorumtool lists no members".to_owned());
    }
    Ok(tool)
}

/// `         1          1    A,V,NMW node1 (local)`, `0x00000000          0            Qdevice (votes 1)`.
fn read_row(tool: &mut Quorumtool, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, votes, rest @ ..] = words.as_slice() else { return };
    let (Some(node_id), Ok(votes)) = (parse_id(id), votes.parse::<u32>()) else { return };
    if node_id == 0 {
        let named = rest.iter().position(|word| *word == "(votes").and_then(|at| rest.get(at + 1));
        let silent = named.and_then(|word| word.trim_end_matches(')').parse().ok());
        tool.qdevice = Some(QdeviceLine { votes: silent.unwrap_or(votes), casting: votes > 0 });
        return;
    }
    let (qdevice, rest) = match rest {
        [column, more @ ..] if !more.is_empty() && (*column == "NR" || column.contains(',')) => {
            (Some((*column).to_owned()), more)
        }
        _ => (None, rest),
    };
    let local = rest.last() == Some(&"(local)");
    let name = rest.first().copied().unwrap_or_default().to_owned();
    tool.members.push(MemberLine { node_id, votes, name, qdevice, local });
}

/// Decimal or `0x…`.
fn parse_id(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_qdevice_has_votes_but_casts_none() {
        let text = "Node ID: 1\nQuorate: Yes\nExpected votes: 3\nTotal votes: 2\nQuorum: 2\nFlags: Quorate Qdevice\n\
                    Membership information\n    Nodeid      Votes    Qdevice Name\n\
                    0x00000001          1   NA,NV,NMW 10.0.0.1 (local)\n0x00000002          1         NR 10.0.0.2\n\
                    0x00000000          0            Qdevice (votes 1)\n";
        let tool = parse(text).unwrap();
        assert_eq!(tool.qdevice, Some(QdeviceLine { votes: 1, casting: false }));
        assert_eq!(tool.members.len(), 2);
        assert!(tool.members[0].local && tool.members[1].qdevice.as_deref() == Some("NR"));
    }

    #[test]
    fn corosync_that_does_not_run_is_an_error() {
        assert!(parse("Cannot initialize CMAP service\n").is_err());
    }
}
