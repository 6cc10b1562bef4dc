//! How a journal is opened.

/// What a journal is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To drive a run: the file is created if it does not exist, and migrated if it is older.
    Drive,
    /// To post requests to the driver: the file must exist.
    Ask,
    /// To read: the file must exist and is not changed.
    Read,
}
