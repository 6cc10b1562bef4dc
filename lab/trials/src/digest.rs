//! Whole worlds compared.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};

use quorate_world::World;

/// Every field of the world, in one number.
pub(crate) fn digest(world: &World) -> u64 {
    struct Sink(DefaultHasher);
    impl std::fmt::Write for Sink {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    write!(sink, "{world:?}").expect("hashing does not fail");
    sink.0.finish()
}
