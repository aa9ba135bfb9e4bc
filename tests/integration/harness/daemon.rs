//! Programs that run beside a test and end with it: name servers and the like.

use std::process::{Child, Command, Stdio};

/// A program that ends with the test.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stderr(Stdio::inherit()).spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("{}: {error} (scripts/packages test installs it)", program.display())
        }))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // nsd and unbound end their children when they are asked to.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
