//! The log of a migration's task: how far it is.

use quorate_core::progress::Transfer;

/// What the last line says that is about bytes, if one is: of a disk or of the memory, whichever is on its way.
///
/// `migration active, transferred 1.2 GiB of 4.0 GiB VM-state, 112.3 MiB/s`, `mirror-scsi0: transferred 1.0 GiB of 32.0
/// GiB (3.12%) in 5s` (before PVE 9 `drive-scsi0: …`).
pub fn transfer<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<Transfer> {
    lines.rev().find_map(of_line)
}

fn of_line(line: &str) -> Option<Transfer> {
    let (_, rest) = line.split_once(" transferred ")?;
    let (done, rest) = rest.split_once(" of ")?;
    let mut words = rest.split([' ', ',']).filter(|word| !word.is_empty());
    let total = size(words.next()?, words.next()?)?;
    let (number, unit) = done.split_once(' ')?;
    let mut rates = rest.split(", ").skip(1).filter_map(|part| part.split_once(' '));
    let rate = rates.find_map(|(number, unit)| size(number, unit.strip_suffix("/s")?));
    Some(Transfer { done: size(number, unit)?, total, rate })
}

/// `1.2` `GiB`, as PVE writes sizes: with one place at most, in powers of 1024.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked, and rounded for people")]
fn size(number: &str, unit: &str) -> Option<u64> {
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|known| *known == unit)?;
    let number: f64 = number.parse().ok().filter(|number| (0.0..1e6).contains(number))?;
    Some((number * 1024_f64.powi(i32::try_from(power).ok()?)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_last_line_about_bytes_counts_for_memory_and_for_disks_of_any_release() {
        let log = [
            "2026-11-03 10:00:20 migration speed limit: 100.0 MiB/s",
            "2026-11-03 10:00:21 migration active, transferred 112.0 MiB of 4.0 GiB VM-state, 113.0 MiB/s",
            "2026-11-03 10:00:30 migration active, transferred 512.0 MiB of 4.0 GiB VM-state, 112.0 MiB/s, VM dirties lots \
             of memory: 130.0 MiB/s",
            "2026-11-03 10:00:31 xbzrle: send updates to 123 pages in 45.6 KiB encoded memory, cache-miss 12.34%",
        ];
        let memory = Transfer { done: 512 * MIB, total: 4096 * MIB, rate: Some(112 * MIB) };
        assert_eq!(transfer(log.into_iter()), Some(memory));
        for line in [
            "mirror-scsi0: transferred 1.0 GiB of 32.0 GiB (3.12%) in 5s",
            "drive-scsi0: transferred 1.0 GiB of 32.0 GiB (3.12%) in 5s",
        ] {
            assert_eq!(
                transfer([line].into_iter()),
                Some(Transfer { done: 1024 * MIB, total: 32 * 1024 * MIB, rate: None })
            );
        }
    }

    #[test]
    fn what_is_no_such_line_says_nothing() {
        for line in [
            "",
            "2026-11-03 10:00:58 migration completed, transferred 3.1 GiB VM-state",
            "x: transferred 1.0 GiB of",
            "x: transferred -1 GiB of nan GiB",
            "x: transferred 1 parsec of 2 GiB",
            "x: transferred 99999999999999 PiB of 2 PiB",
            "xbzrle: send updates to 123 pages",
        ] {
            assert_eq!(transfer([line].into_iter()), None, "{line}");
        }
    }
}
