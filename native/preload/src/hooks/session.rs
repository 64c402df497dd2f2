//! Processes of one compute stay in one session.

use super::hooks;
use crate::{env, interrupt, real, sys};
use libc::pid_t;

hooks! {
    /// `setsid`: each process that the postmaster starts would make a session, for the sake of the process group that
    /// comes with it. It gets the group alone: where the kernel shares the processor among sessions
    /// (sched_autogroup), a compute is then one, however many processes it has.
    fn setsid() -> pid_t {
        let is_child = env::settings().is_some_and(|settings| settings.loader_pid != sys::pid());
        if is_child && interrupt::is_postgres() {
            // SAFETY: no memory is passed; one's own group can be made as long as one leads no session.
            if unsafe { libc::setpgid(0, 0) } == 0 {
                return sys::pid();
            }
        }
        // SAFETY: no memory is passed.
        unsafe { real::setsid() }
    }
}
