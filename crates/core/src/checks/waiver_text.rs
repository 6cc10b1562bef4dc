//! A waiver as an operator types it.

use super::classes::accept;
use crate::policy::Waiver;

impl Waiver {
    /// From `CHECK=REASON` or `CHECK:SUBJECT=REASON`.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form =
            "a waiver is written CHECK=REASON or CHECK:SUBJECT=REASON, as in other-movers:pve1='ignores our guests'";
        let (what, reason) = text.split_once('=').ok_or(form)?;
        let (check, subject) = what.split_once(':').map_or((what, None), |(check, subject)| (check, Some(subject)));
        let waiver = Self {
            check: check.trim().to_owned(),
            subject: subject.map(|subject| subject.trim().to_owned()),
            text: None,
            reason: reason.trim().to_owned(),
        };
        accept(&waiver).map(|()| waiver)
    }
}
