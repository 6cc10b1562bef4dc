//! `pct list`: the containers of one node, as the node itself knows them.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtLine {
    /// Its number.
    pub vmid: u32,
    /// `running` or `stopped`.
    pub status: String,
    /// Its name.
    pub name: String,
}

/// All lines; nothing at all is printed when there is no container.
///
/// `VMID Status Lock Name`: the lock may be blank, so the name is taken from its column.
pub fn parse(output: &str) -> Result<Vec<CtLine>, String> {
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        None => return Ok(Vec::new()),
        Some(heading) if heading.trim_start().starts_with("VMID") => {}
        Some(other) => return Err(format!("pct list began with {other:?}")),
    }
    lines.map(|line| parse_line(line).ok_or_else(|| format!("pct list printed {line:?}"))).collect()
}

fn parse_line(line: &str) -> Option<CtLine> {
    const NAME_COLUMN: usize = 35;
    let mut words = line.split_whitespace();
    let vmid = words.next()?.parse().ok()?;
    let status = words.next()?.to_owned();
    let name = match line.get(NAME_COLUMN..) {
        Some(name) => name.trim().to_owned(),
        None => words.last().unwrap_or_default().to_owned(),
    };
    Some(CtLine { vmid, status, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_column_may_be_blank() {
        let text = "VMID       Status     Lock         Name                \n\
                    201        running                 db                  \n\
                    202        stopped    snapshot     old                 \n";
        let lines = parse(text).unwrap();
        assert_eq!((lines[0].name.as_str(), lines[0].status.as_str()), ("db", "running"));
        assert_eq!((lines[1].name.as_str(), lines[1].status.as_str()), ("old", "stopped"));
        assert_eq!(parse(""), Ok(vec![]));
        assert!(parse("bash: pct: command not found").is_err());
    }
}
