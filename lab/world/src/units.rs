//! Sizes of memory and disks.

/// Bytes of a mebibyte.
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes of a gibibyte.
pub(crate) const GIB: u64 = 1 << 30;
