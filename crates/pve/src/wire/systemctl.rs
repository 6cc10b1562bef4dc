//! `systemctl show 'quorate-upgrade*' -p …` and `systemctl list-units --failed`.

use std::collections::BTreeMap;

/// Properties of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitLine {
    /// Its name without `.service`.
    pub name: String,
    /// `loaded`, `not-found`.
    pub load: String,
    /// `active`, `activating`, `failed`, `inactive`.
    pub active: String,
    /// `running`, `exited`, `dead`, `failed`.
    pub sub: String,
    /// `success`, `exit-code`, `signal`.
    pub result: String,
    /// 1 exited, 2 killed, 3 dumped core.
    pub main_code: i64,
    /// Exit status or signal number.
    pub main_status: i64,
}

impl UnitLine {
    /// The number at the end of the name, `quorate-upgrade-ab12-3` → 3; 1 where there is none.
    pub fn number(&self) -> u32 {
        // The run's short id may itself be all digits; an attempt number comes after the id and a dash.
        let mut parts = self.name.trim_start_matches("quorate-upgrade").split('-').filter(|part| !part.is_empty());
        let _run = parts.next();
        parts.next_back().and_then(|number| number.parse().ok()).unwrap_or(1)
    }
}

/// All blocks, one per unit. Nothing is printed when no unit matches.
pub fn parse_show(output: &str) -> Result<Vec<UnitLine>, String> {
    let mut units = Vec::new();
    let mut block: BTreeMap<&str, &str> = BTreeMap::new();
    for line in output.lines().map(str::trim).chain([""]) {
        match line.split_once('=') {
            Some((key, value)) => {
                block.insert(key, value);
            }
            None if line.is_empty() && !block.is_empty() => units.push(unit(&std::mem::take(&mut block))?),
            None if line.is_empty() => {}
            None => return Err(format!("systemctl show printed {line:?}")),
        }
    }
    Ok(units)
}

fn unit(block: &BTreeMap<&str, &str>) -> Result<UnitLine, String> {
    let text = |key: &str| block.get(key).copied().unwrap_or_default().to_owned();
    let number = |key: &str| block.get(key).and_then(|value| value.parse().ok()).unwrap_or(0);
    let id = block.get("Id").ok_or("systemctl show printed a unit without Id")?;
    Ok(UnitLine {
        name: id.strip_suffix(".service").unwrap_or(id).to_owned(),
        load: text("LoadState"),
        active: text("ActiveState"),
        sub: text("SubState"),
        result: text("Result"),
        main_code: number("ExecMainCode"),
        main_status: number("ExecMainStatus"),
    })
}

/// Names in `systemctl list-units --failed --plain --no-legend`, sorted.
pub fn parse_failed(output: &str) -> Vec<String> {
    let mut units: Vec<String> = output
        .lines()
        .map(|line| line.trim_start_matches(['●', '*', ' ']))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    units.sort();
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_units_are_printed_as_blocks_and_have_numbers() {
        let text = "Id=quorate-upgrade-ab12.service\nLoadState=loaded\nActiveState=active\nSubState=exited\nResult=success\n\
                    ExecMainCode=1\nExecMainStatus=0\n\nId=quorate-upgrade-ab12-2.service\nLoadState=loaded\nActiveState=failed\n\
                    SubState=failed\nResult=exit-code\nExecMainCode=1\nExecMainStatus=100\n";
        let units = parse_show(text).unwrap();
        assert_eq!(units.iter().map(UnitLine::number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((units[1].active.as_str(), units[1].main_status), ("failed", 100));
        assert_eq!(parse_show(""), Ok(vec![]));
        assert!(parse_show("System has not been booted with systemd as init system").is_err());
    }

    #[test]
    fn failed_units_are_listed_by_name() {
        assert_eq!(parse_failed("postfix.service loaded failed failed Postfix\n"), ["postfix.service"]);
        assert!(parse_failed("").is_empty());
    }
}
