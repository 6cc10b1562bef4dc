//! How much something matters; the frame gives it a colour.

/// How much something matters to the one who looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// A heading.
    Title,
    /// Worth reading only if one looks for it.
    Quiet,
    /// Done, or as it should be.
    Good,
    /// At work.
    Busy,
    /// Something is not as usual.
    Warn,
    /// Something lies still, or is wrong.
    Bad,
}
