//! Connections whose bytes pass on threads of their own.

use std::time::Duration;

use napi::bindgen_prelude::{Buffer, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use offshoot_splice::{By, End, Event, How, Pair, Pump, PumpOptions};

use crate::failure::Failure;
use crate::work::now;

#[napi(object)]
pub struct SplicePumpOptions {
    pub threads: u32,
    /// Held of a connection in each direction at most; read at a time.
    pub buffer_bytes: u32,
    /// Read from one socket before others have their turn.
    pub turn_bytes: u32,
    /// A client's time to take its last bytes and to close its side.
    pub linger_ms: u32,
}

/// How a connection has ended: who ended it first, and whether that was an orderly end.
#[napi(object)]
pub struct NativeSpliceEnd {
    #[napi(ts_type = "'client' | 'compute' | 'gateway'")]
    pub by: String,
    #[napi(ts_type = "'ended' | 'broken'")]
    pub how: String,
    /// What came with the hand-over included.
    pub bytes_to_client: f64,
    pub bytes_to_compute: f64,
}

/// Of all connections since the start.
#[napi(object)]
pub struct NativeSpliceSums {
    pub bytes_to_client: f64,
    pub bytes_to_compute: f64,
    /// Now: read, and not taken by the other side yet.
    pub bytes_held: f64,
}

type Arguments = FnArgs<(f64, Option<NativeSpliceEnd>)>;
type Tell = ThreadsafeFunction<Event, (), Arguments, Status, false, false, 0>;

/// Passes bytes between pairs of sockets until `close`, or until it is collected.
#[napi]
pub struct SplicePumpHandle {
    pump: Pump,
}

/// Starts the threads. `onEvent` hears of each connection twice: with its end, once one side has ended it; and without,
/// when nothing of it is left.
#[napi]
pub fn start_splice_pump(
    env: &Env,
    options: SplicePumpOptions,
    #[napi(ts_arg_type = "(id: number, end?: NativeSpliceEnd) => void")] on_event: Function<
        '_,
        Arguments,
        (),
    >,
) -> napi::Result<SplicePumpHandle> {
    let told: Tell = on_event
        .build_threadsafe_function::<Event>()
        .callee_handled::<false>()
        .build_callback(|context| Ok(arguments(context.value)))?;
    now(env, || {
        let options = pump_options(&options)?;
        let tell = move |event| {
            told.call(event, ThreadsafeFunctionCallMode::NonBlocking);
        };
        let pump = Pump::start(&options, tell).map_err(|error| {
            Failure::new("splice", format!("the splice cannot be started: {error}"))
        })?;
        Ok(SplicePumpHandle { pump })
    })
}

#[napi]
impl SplicePumpHandle {
    /// Takes a connection over by descriptors of its own, with what was read on both sides and not delivered; the
    /// caller reads nothing from here on, and closes its own. Answers the number by which the connection is known.
    /// Throws code `splice`: then all is as before.
    #[napi]
    pub fn adopt(
        &self,
        env: &Env,
        client: i32,
        compute: i32,
        to_client: Buffer,
        to_compute: Buffer,
    ) -> napi::Result<f64> {
        now(env, || {
            let refused = |error: std::io::Error| {
                let what = format!("a connection cannot be handed over: {error}");
                Failure::new("splice", what)
            };
            let mut pair = Pair::duplicate(client, compute).map_err(refused)?;
            pair.to_client = to_client.to_vec();
            pair.to_compute = to_compute.to_vec();
            Ok(self.pump.adopt(pair).map_err(refused)? as f64)
        })
    }

    /// Ends a connection; one that has ended stays as it is.
    #[napi]
    pub fn cut(&self, id: f64) {
        self.pump.cut(id as u64);
    }

    #[napi]
    pub fn sums(&self) -> NativeSpliceSums {
        let sums = self.pump.sums();
        NativeSpliceSums {
            bytes_to_client: sums.to_client as f64,
            bytes_to_compute: sums.to_compute as f64,
            bytes_held: sums.held as f64,
        }
    }

    /// Breaks off what is left; no thread runs any more when it returns. A second call does nothing.
    #[napi]
    pub fn close(&self) {
        self.pump.close();
    }
}

fn pump_options(options: &SplicePumpOptions) -> Result<PumpOptions, Failure> {
    let all = [options.threads, options.buffer_bytes, options.turn_bytes];
    if all.contains(&0) {
        return Err(Failure::argument("a splice without threads or bytes"));
    }
    Ok(PumpOptions {
        threads: options.threads as usize,
        buffer_bytes: options.buffer_bytes as usize,
        turn_bytes: options.turn_bytes as usize,
        linger: Duration::from_millis(u64::from(options.linger_ms)),
    })
}

fn arguments(event: Event) -> Arguments {
    FnArgs::from(match event {
        Event::Ended { id, end } => (id as f64, Some(js_end(end))),
        Event::Gone { id } => (id as f64, None),
    })
}

fn js_end(end: End) -> NativeSpliceEnd {
    let by = match end.by {
        By::Client => "client",
        By::Compute => "compute",
        By::Gateway => "gateway",
    };
    let how = match end.how {
        How::Ended => "ended",
        How::Broken => "broken",
    };
    NativeSpliceEnd {
        by: by.to_owned(),
        how: how.to_owned(),
        bytes_to_client: end.bytes_to_client as f64,
        bytes_to_compute: end.bytes_to_compute as f64,
    }
}
