//! `oracle compare …`, `oracle same …` and `oracle opcodes`; see `oracle --help`.

use std::process::ExitCode;

use offshoot_oracle::{
    Arguments, OracleError, SAME_USAGE, SameArguments, USAGE, compare_directories, opcodes_json,
    opcodes_text, run,
};

fn main() -> ExitCode {
    match answer() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::from(2)
        }
    }
}

fn answer() -> Result<ExitCode, OracleError> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("compare") => {
            let arguments = Arguments::parse(words)?;
            let report = run(&arguments)?;
            if arguments.json {
                println!("{:#}", report.to_json());
            } else {
                print!("{}", report.to_text());
            }
            Ok(ExitCode::from(u8::from(!report.is_clean(arguments.strict))))
        }
        Some("same") => {
            let arguments = SameArguments::parse(words)?;
            let report = compare_directories(&arguments)?;
            if arguments.json {
                println!("{:#}", report.to_json());
            } else {
                print!("{}", report.to_text());
            }
            Ok(ExitCode::from(u8::from(report.differing() > 0)))
        }
        Some("opcodes") => {
            match words.next().as_deref() {
                Some("--json") => println!("{:#}", opcodes_json()),
                _ => print!("{}", opcodes_text()),
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            print!("{USAGE}\n{SAME_USAGE}");
            Ok(ExitCode::SUCCESS)
        }
    }
}
