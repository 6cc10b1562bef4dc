//! Default values of a cluster file, as serde needs them: one function per value.

pub(super) fn quarter_hour() -> String {
    "*/15".to_owned()
}
pub(super) fn five() -> u32 {
    5
}
pub(super) fn start() -> u64 {
    super::START_UNIX_S
}
pub(super) fn forty_days() -> u64 {
    40 * 86_400 + 4_711
}
pub(super) fn ten_minutes() -> u64 {
    600
}
pub(super) fn recovery() -> u64 {
    400
}
pub(super) fn churn() -> u64 {
    20
}
pub(super) fn one_tib() -> u64 {
    1024
}
pub(super) fn one() -> u32 {
    1
}
pub(super) fn two() -> u32 {
    2
}
pub(super) fn three() -> u32 {
    3
}
pub(super) fn six() -> u64 {
    6
}
pub(super) fn eight() -> u64 {
    8
}
pub(super) fn twenty() -> u64 {
    20
}
pub(super) fn thirty_two() -> u64 {
    32
}
pub(super) fn yes() -> bool {
    true
}
pub(crate) fn running() -> String {
    "running".to_owned()
}
