//! Lets the map be moved only when nobody looks at it.
//!
//! LMDB may change its map's size only while the process has no transaction open. Readers pass the
//! gate and hold a pass; growing shuts the gate, waits for the passes to come back, and reopens it.

use crate::StoreError;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    passes: usize,
    shut: bool,
    closed: bool,
}

pub(crate) struct MapGate {
    state: Mutex<State>,
    changed: Condvar,
    wait: Duration,
}

/// Held by a transaction for as long as it may look at the map.
pub(crate) struct Pass(Arc<MapGate>);

impl MapGate {
    pub(crate) fn new(wait: Duration) -> Arc<MapGate> {
        Arc::new(MapGate {
            state: Mutex::default(),
            changed: Condvar::new(),
            wait,
        })
    }

    /// # Errors
    /// `Closed`; `GrowTimeout` when the gate stays shut.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, StoreError> {
        let deadline = Instant::now() + self.wait;
        let mut state = self.state.lock();
        while state.shut && !state.closed {
            if self.changed.wait_until(&mut state, deadline).timed_out() && state.shut {
                return Err(self.timeout());
            }
        }
        if state.closed {
            return Err(StoreError::Closed);
        }
        state.passes += 1;
        Ok(Pass(Arc::clone(self)))
    }

    /// Runs `work` while nobody holds a pass. Callers take turns: they hold the store's write lock.
    ///
    /// # Errors
    /// `GrowTimeout` when passes stay out; then `work` did not run.
    pub(crate) fn alone<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.state.lock();
        state.shut = true;
        let gone = self.wait_for_passes(&mut state);
        let result = match gone {
            true => work(),
            false => Err(self.timeout()),
        };
        state.shut = false;
        self.changed.notify_all();
        result
    }

    /// No pass is given out any more. Whether all came back in time.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        self.changed.notify_all();
        self.wait_for_passes(&mut state)
    }

    fn wait_for_passes(&self, state: &mut parking_lot::MutexGuard<'_, State>) -> bool {
        let deadline = Instant::now() + self.wait;
        while state.passes > 0 {
            if self.changed.wait_until(state, deadline).timed_out() {
                return state.passes == 0;
            }
        }
        true
    }

    fn timeout(&self) -> StoreError {
        StoreError::GrowTimeout {
            waited_ms: self.wait.as_millis() as u64,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.passes -= 1;
        if state.passes == 0 && (state.shut || state.closed) {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn growing_waits_for_readers_and_readers_for_growing() {
        let gate = MapGate::new(Duration::from_secs(5));
        let pass = gate.enter().unwrap();
        let grower = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.alone(|| Ok(gate.changed.notify_one())))
        };
        while !gate.state.lock().shut {
            thread::yield_now();
        }
        let reader = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter().map(drop))
        };
        thread::sleep(Duration::from_millis(20));
        assert!(!grower.is_finished() && !reader.is_finished());
        drop(pass);
        grower.join().unwrap().unwrap();
        reader.join().unwrap().unwrap();
    }

    #[test]
    fn a_reader_that_stays_makes_growing_fail_not_hang() {
        let gate = MapGate::new(Duration::from_millis(20));
        let pass = gate.enter().unwrap();
        let result = gate.alone(|| Ok(()));
        assert!(matches!(
            result,
            Err(StoreError::GrowTimeout { waited_ms: 20 })
        ));
        drop(gate.enter().unwrap());
        drop(pass);
        gate.alone(|| Ok(())).unwrap();
    }

    #[test]
    fn a_closed_gate_lets_nobody_in() {
        let gate = MapGate::new(Duration::from_millis(20));
        let pass = gate.enter().unwrap();
        assert!(!gate.close());
        assert!(matches!(gate.enter(), Err(StoreError::Closed)));
        drop(pass);
        assert!(gate.close());
    }
}
