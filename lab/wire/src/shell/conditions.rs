//! `test` and `[`: conditions of a script.

use super::{Output, Shell};

impl Shell<'_> {
    /// `test …` and `[ … ]`: status 0 if it holds, 1 if not, 2 where it makes no sense.
    pub(super) fn test(&self, name: &str, args: &[&str]) -> Output {
        let args = match (name, args) {
            ("[", [args @ .., "]"]) => args,
            ("[", _) => return Output::fail(2, "sh: 1: [: missing ]\n"),
            _ => args,
        };
        match self.holds(args) {
            Ok(holds) => Output { status: i32::from(!holds), ..Output::default() },
            Err(why) => Output::fail(2, format!("sh: 1: {name}: {why}\n")),
        }
    }

    fn holds(&self, args: &[&str]) -> Result<bool, String> {
        let exists =
            |path: &str| self.read(path).is_some() || self.names(path).is_some() || self.modified_s(path).is_some();
        let number = |text: &str| text.parse::<i64>().map_err(|_| format!("Illegal number: {text}"));
        Ok(match args {
            [] => false,
            [text] => !text.is_empty(),
            ["!", rest @ ..] => !self.holds(rest)?,
            ["-n", text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-e" | "-f" | "-r" | "-s", path] => exists(path),
            ["-d", path] => self.names(path).is_some(),
            // The test for quorum that PVE itself uses: may /etc/pve be written?
            ["-w", path] => path.starts_with("/etc/pve") && self.world.writable(self.node),
            [one, "=", other] => one == other,
            [one, "!=", other] => one != other,
            [one, "-eq", other] => number(one)? == number(other)?,
            [one, "-ne", other] => number(one)? != number(other)?,
            [one, "-lt", other] => number(one)? < number(other)?,
            [one, "-le", other] => number(one)? <= number(other)?,
            [one, "-gt", other] => number(one)? > number(other)?,
            [one, "-ge", other] => number(one)? >= number(other)?,
            [_, operator, ..] => return Err(format!("{operator}: unexpected operator")),
        })
    }
}
