//! `df -B1 --output=avail PATH`: a heading and a number.

/// Free bytes.
pub fn parse(output: &str) -> Result<u64, String> {
    let line = output.lines().map(str::trim).rfind(|line| !line.is_empty()).ok_or("df printed nothing")?;
    line.parse().map_err(|_| format!("df printed {line:?} instead of a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_under_its_heading() {
        assert_eq!(parse("      Avail\n69247660032\n"), Ok(69_247_660_032));
        assert!(parse("      Avail\n").is_err());
    }
}
