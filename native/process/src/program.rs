use std::ffi::{CString, NulError, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// Whose rights a program runs with; only root can choose.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
}

/// What is to be started. It runs in a session of its own, with nothing to read on standard input.
pub struct Program {
    pub(crate) path: CString,
    pub(crate) directory: CString,
    pub(crate) user: Option<User>,
    /// Where its standard output and error go; stays open until `start` has answered.
    pub(crate) output: c_int,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// `arguments` without the program's name; `environment` as `NAME=value`.
    ///
    /// # Errors
    /// A text with a NUL.
    pub fn new(
        path: &OsStr,
        arguments: &[String],
        environment: &[String],
        directory: &OsStr,
        user: Option<User>,
        output: c_int,
    ) -> Result<Program, NulError> {
        let path = CString::new(path.as_bytes())?;
        let texts = |texts: &[String]| -> Result<Vec<CString>, NulError> {
            texts
                .iter()
                .map(|text| CString::new(text.as_str()))
                .collect()
        };
        let mut all = vec![path.clone()];
        all.extend(texts(arguments)?);
        Ok(Program {
            path,
            directory: CString::new(directory.as_bytes())?,
            user,
            output,
            arguments: all,
            environment: texts(environment)?,
        })
    }

    /// As execve takes them; good as long as `self`.
    pub(crate) fn argv(&self) -> Vec<*const c_char> {
        pointers(&self.arguments)
    }

    pub(crate) fn envp(&self) -> Vec<*const c_char> {
        pointers(&self.environment)
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let end = std::iter::once(std::ptr::null());
    texts.iter().map(|text| text.as_ptr()).chain(end).collect()
}
