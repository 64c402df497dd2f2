//! A page service in a thread: whatever a `Source` holds, over a Unix socket, with faults on demand.

use offshoot_layout::{BlockKey, Page, RelKey};
use offshoot_pageproto::{
    RelationEntry, Request, RequestMessage, ResponseWriter, Version, next_frame, parse_request,
};
use std::io::{Read, Result, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a page server serves.
pub trait Source: Send + Sync + 'static {
    /// Blocks of a fork; `None` if it does not exist.
    fn blocks(&self, rel: RelKey) -> Option<u32>;
    /// The page, or the text of the error.
    fn page(&self, key: BlockKey, page: &mut Page) -> std::result::Result<(), String>;
    fn relations(&self, spcnode: u32, dbnode: u32) -> Vec<RelationEntry>;
}

/// How badly the server behaves; 0 is never.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub delay_us_max: u64,
    /// Closes the connection in the middle of one response in so many.
    pub drop_one_in: u64,
    pub error_one_in: u64,
    /// Answers with another block, and says so.
    pub other_block_one_in: u64,
    /// Never answers.
    pub silent: bool,
}

/// What was asked of the server.
#[derive(Default)]
pub struct Counts {
    pub connections: AtomicU64,
    pub pages: AtomicU64,
    pub sizes: AtomicU64,
    pub listings: AtomicU64,
    /// Most requests that one read of a connection held.
    pub batch_max: AtomicU64,
}

struct Shared {
    source: Box<dyn Source>,
    faults: Mutex<Faults>,
    token: Option<String>,
    counts: Counts,
    stopped: AtomicBool,
    streams: Mutex<Vec<UnixStream>>,
}

/// A running server; stops when dropped.
pub struct PageServer {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl PageServer {
    pub fn start(path: &Path, source: impl Source, token: Option<&str>) -> PageServer {
        let shared = Arc::new(Shared {
            source: Box::new(source),
            faults: Mutex::new(Faults::default()),
            token: token.map(str::to_owned),
            counts: Counts::default(),
            stopped: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        });
        let server = PageServer {
            path: path.to_owned(),
            shared,
        };
        server.listen();
        server
    }

    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// Listens, again after `stop`.
    pub fn listen(&self) {
        let _ = std::fs::remove_file(&self.path);
        let listener = UnixListener::bind(&self.path).unwrap();
        self.shared.stopped.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let number = shared.counts.connections.fetch_add(1, Ordering::SeqCst);
                shared
                    .streams
                    .lock()
                    .unwrap()
                    .push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let connection = Connection {
                        shared,
                        stream,
                        unread: Vec::new(),
                        random: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                    };
                    // A client that goes away is no failure of the server.
                    let _ = connection.serve();
                });
            }
        });
    }

    /// Listens at a TCP port of `host` too, which is returned; what comes there goes through the socket.
    pub fn relay_from(&self, host: &str) -> u16 {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let path = self.path.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = UnixStream::connect(&path) else {
                    return;
                };
                let (mut to_server, mut from_server) = (server.try_clone().unwrap(), server);
                let (mut to_client, mut from_client) = (client.try_clone().unwrap(), client);
                std::thread::spawn(move || {
                    // The end of either side is the end of both.
                    let _ = std::io::copy(&mut from_client, &mut to_server);
                    let _ = to_server.shutdown(std::net::Shutdown::Both);
                });
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from_server, &mut to_client);
                    let _ = to_client.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        port
    }

    /// Refuses new connections and cuts those there are.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Connection {
    shared: Arc<Shared>,
    stream: UnixStream,
    unread: Vec<u8>,
    random: u64,
}

impl Connection {
    fn serve(mut self) -> Result<()> {
        self.welcome()?;
        loop {
            let body = self.message()?;
            let command = String::from_utf8_lossy(&body).into_owned();
            let words: Vec<_> = command.trim_end_matches('\0').split(' ').collect();
            match words[0] {
                "pagestream_v3" => {
                    self.stream.write_all(b"W\0\0\0\x07\0\0\0")?;
                    return self.pagestream();
                }
                "relations" => {
                    let [spcnode, dbnode] = [words[4], words[5]].map(|oid| oid.parse().unwrap());
                    self.listing(spcnode, dbnode)?;
                }
                _ => self.stream.write_all(&error("unknown command"))?,
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; 16384];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        while self.unread.len() < bytes {
            self.fill()?;
        }
        Ok(self.unread.drain(..bytes).collect())
    }

    /// The body of a message whose length follows.
    fn body(&mut self) -> Result<Vec<u8>> {
        let length = self.take(4)?;
        let length = u32::from_be_bytes(length.try_into().unwrap());
        self.take(length as usize - 4)
    }

    fn message(&mut self) -> Result<Vec<u8>> {
        self.take(1)?;
        self.body()
    }

    fn welcome(&mut self) -> Result<()> {
        self.body()?;
        if let Some(token) = self.shared.token.clone() {
            self.stream.write_all(b"R\0\0\0\x08\0\0\0\x03")?;
            if self.message()? != [token.as_bytes(), b"\0"].concat() {
                self.stream.write_all(&error("wrong token"))?;
                return Err(std::io::ErrorKind::PermissionDenied.into());
            }
        }
        self.stream
            .write_all(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19server_version\x0014.1\0\0Z\0\0\0\x05I")
    }

    fn listing(&mut self, spcnode: u32, dbnode: u32) -> Result<()> {
        self.shared.counts.listings.fetch_add(1, Ordering::SeqCst);
        let mut entries = Vec::new();
        for entry in self.shared.source.relations(spcnode, dbnode) {
            entry.write(&mut entries);
        }
        let mut out = b"H\0\0\0\x07\0\0\0".to_vec();
        // Entries may be cut anywhere.
        for chunk in entries.chunks(100) {
            out.push(b'd');
            out.extend_from_slice(&(chunk.len() as u32 + 4).to_be_bytes());
            out.extend_from_slice(chunk);
        }
        out.extend_from_slice(b"c\0\0\0\x04C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I");
        self.stream.write_all(&out)
    }

    fn pagestream(&mut self) -> Result<()> {
        loop {
            let mut unread = std::mem::take(&mut self.unread);
            let mut taken = 0;
            let mut batch = 0;
            let mut out = Vec::new();
            while let Some(frame) = next_frame(&unread[taken..], 1000).unwrap() {
                taken = unread.len() - frame.rest.len();
                batch += 1;
                let request = parse_request(Version::V3, frame.body).unwrap();
                self.answer(&request, &mut out)?;
            }
            self.shared
                .counts
                .batch_max
                .fetch_max(batch, Ordering::SeqCst);
            unread.drain(..taken);
            self.unread = unread;
            self.stream.write_all(&out)?;
            self.fill()?;
        }
    }

    fn answer(&mut self, request: &RequestMessage<'_>, out: &mut Vec<u8>) -> Result<()> {
        let faults = *self.shared.faults.lock().unwrap();
        if faults.silent {
            return Ok(());
        }
        if faults.delay_us_max > 0 && self.one_in(4) {
            self.stream.write_all(out)?;
            out.clear();
            std::thread::sleep(Duration::from_micros(self.number() % faults.delay_us_max));
        }
        let shared = Arc::clone(&self.shared);
        let source = &shared.source;
        let mut writer = ResponseWriter::new(out);
        if faults.error_one_in > 0 && self.one_in(faults.error_one_in) {
            ResponseWriter::new(out).error(request, "made to fail");
            return Ok(());
        }
        match request.request {
            Request::Exists { rel } => {
                self.shared.counts.sizes.fetch_add(1, Ordering::SeqCst);
                writer.exists(request, source.blocks(rel).is_some());
            }
            Request::Nblocks { rel } => match source.blocks(rel) {
                Some(blocks) => writer.nblocks(request, blocks),
                None => writer.error(request, "no such relation"),
            },
            Request::GetPage { key }
                if faults.other_block_one_in > 0 && self.one_in(faults.other_block_one_in) =>
            {
                let mut echo = request.echo.to_vec();
                let last = echo.len() - 1;
                echo[last] ^= 1;
                let other = RequestMessage {
                    echo: &echo,
                    ..*request
                };
                let block = key.block ^ 1;
                source
                    .page(BlockKey { block, ..key }, writer.page(&other))
                    .unwrap();
            }
            Request::GetPage { key } => {
                self.shared.counts.pages.fetch_add(1, Ordering::SeqCst);
                let mark = writer.mark();
                if let Err(text) = source.page(key, writer.page(request)) {
                    writer.rewind(mark);
                    writer.error(request, &text);
                }
            }
            Request::DbSize { .. } | Request::GetSlruSegment { .. } => {
                writer.error(request, "not served here");
            }
        }
        if faults.drop_one_in > 0 && self.one_in(faults.drop_one_in) {
            let cut = self.number() as usize % (out.len() + 1);
            self.stream.write_all(&out[..cut])?;
            self.stream.shutdown(std::net::Shutdown::Both)?;
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.number().is_multiple_of(many)
    }

    /// xorshift.
    fn number(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

fn error(text: &str) -> Vec<u8> {
    let body = format!("SERROR\0CXX000\0M{text}\0\0");
    let mut out = vec![b'E'];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body.as_bytes());
    out
}
