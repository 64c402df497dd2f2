//! Programs that the daemon starts.

use std::ffi::{OsStr, c_int};

use napi::Status;
use napi::bindgen_prelude::{AsyncTask, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use offshoot_process::{End, Program, User, reap, start};

use crate::failure::Failure;
use crate::work::{Reply, Work, promise};

#[napi(object)]
pub struct ProgramOptions {
    pub path: String,
    /// Without the program's name.
    pub arguments: Vec<String>,
    /// As `NAME=value`.
    pub environment: Vec<String>,
    pub working_directory: String,
    /// Both or none: whose rights it gets.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Descriptor that takes its output and its errors; open until the promise settles.
    pub output: i32,
}

/// The id of a program that runs.
pub struct Pid(c_int);

/// Exit status or signal.
type EndArguments = FnArgs<(Option<i32>, Option<i32>)>;
type EndFunction = ThreadsafeFunction<(c_int, End), (), EndArguments, Status, false, false, 0>;

/// Starts a program, in a session of its own and without input; answers its process id. `onEnd` hears of its end,
/// once, with its exit status or the number of the signal. Until then the id is nobody else's.
#[napi(ts_return_type = "Promise<number>")]
pub fn start_program(
    options: ProgramOptions,
    #[napi(ts_arg_type = "(code?: number, signal?: number) => void")] on_end: Function<
        '_,
        EndArguments,
        (),
    >,
) -> napi::Result<AsyncTask<Work<Pid>>> {
    let told: EndFunction = on_end
        .build_threadsafe_function::<(c_int, End)>()
        .callee_handled::<false>()
        .build_callback(|context| {
            let (pid, end) = context.value;
            reap(pid);
            Ok(FnArgs::from(match end {
                End::Code(code) => (Some(code), None),
                End::Signal(signal) => (None, Some(signal)),
            }))
        })?;
    Ok(promise(move || {
        let program = program(&options)?;
        let tell = move |pid, end| {
            told.call((pid, end), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let started = start(program, tell);
        started.map(Pid).map_err(|error| {
            let what = format!("{} cannot be started: {error}", options.path);
            Failure::new("program", what)
        })
    }))
}

fn program(options: &ProgramOptions) -> Result<Program, Failure> {
    let user = match (options.uid, options.gid) {
        (Some(uid), Some(gid)) => Some(User { uid, gid }),
        (None, None) => None,
        _ => return Err(Failure::argument("uid and gid go together")),
    };
    Program::new(
        OsStr::new(&options.path),
        &options.arguments,
        &options.environment,
        OsStr::new(&options.working_directory),
        user,
        options.output,
    )
    .map_err(|error| Failure::argument(format!("an argument holds a NUL: {error}")))
}

impl Reply for Pid {
    type Js = u32;

    fn into_js(self) -> u32 {
        self.0.unsigned_abs()
    }
}
