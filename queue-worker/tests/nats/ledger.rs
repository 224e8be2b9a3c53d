//! A file outside of the system, where nothing of it can lose anything: every line is on the disk before its writer hears
//! so. (Functions see the machine read-only, and cannot write it themselves.)

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::NamedTempFile;

pub(crate) struct Ledger {
    file: NamedTempFile,
    count: Arc<AtomicUsize>,
    pub(crate) port: u16,
}

impl Ledger {
    pub(crate) fn start() -> Self {
        let file = NamedTempFile::new().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(Mutex::new(file.reopen().unwrap()));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for writer in listener.incoming().map_while(Result::ok) {
                let (lines, counted) = (Arc::clone(&lines), Arc::clone(&counted));
                // A writer may be killed at any time.
                std::thread::spawn(move || note_all(writer, &lines, &counted));
            }
        });
        Self { file, count, port }
    }

    /// Lines so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How often each line was written.
    pub(crate) fn lines(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        for line in std::fs::read_to_string(self.file.path()).unwrap().lines() {
            *times.entry(line.to_owned()).or_default() += 1;
        }
        times
    }
}

fn note_all(writer: TcpStream, lines: &Mutex<File>, count: &AtomicUsize) -> std::io::Result<()> {
    let mut said = BufReader::new(writer.try_clone()?);
    let (mut writer, mut line) = (writer, String::new());
    loop {
        line.clear();
        said.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Ok(());
        }
        {
            let mut lines = lines.lock().unwrap();
            lines.write_all(line.as_bytes())?;
            lines.sync_data()?;
        }
        count.fetch_add(1, Ordering::Relaxed);
        writer.write_all(b"written\n")?;
    }
}
