//! How a journal is opened.

/// What a journal is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To drive a run: the file is made if there is none, and migrated if it is older.
    Drive,
    /// To post requests to whoever drives: the file must be there.
    Ask,
    /// To look: the file must be there and is not changed.
    Read,
}
