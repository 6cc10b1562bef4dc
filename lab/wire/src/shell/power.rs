//! Commands that turn a machine off, now or later.

use quorate_world::node::AfterDown;

use super::{Options, Output, Shell};

impl Shell<'_> {
    pub(super) fn power(&mut self, then: AfterDown) -> Output {
        let node = self.node.clone();
        match self.world.node_power(&node, then) {
            Ok(()) => Output::default(),
            Err(error) => Output::fail(1, format!("{error}\n")),
        }
    }

    /// `shutdown [-r] [now|+MINUTES]`, in a minute if no time is named; `shutdown -c` takes it back.
    pub(super) fn shutdown(&mut self, args: &[&str]) -> Output {
        let options = Options::parse(args, &[]);
        let node = self.node.clone();
        if options.has(&["-c"]) {
            if let Some(machine) = self.world.nodes.get_mut(&node) {
                machine.shutdown_due = None;
            }
            return Output::default();
        }
        let then = if options.has(&["-r", "--reboot"]) { AfterDown::Reboot } else { AfterDown::Off };
        let minutes = match options.rest.first() {
            Some(&"now") => 0,
            None => 1,
            Some(time) => match time.strip_prefix('+').and_then(|minutes| minutes.parse().ok()) {
                Some(minutes) => minutes,
                None => return Output::fail(1, format!("Failed to parse time specification: {time}\n")),
            },
        };
        if minutes == 0 {
            return self.power(then);
        }
        self.world.node_power_later(&node, then, minutes);
        Output::default()
    }
}
