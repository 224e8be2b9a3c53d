//! A caller that speaks HTTP byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;

use crate::support::PATIENCE;

/// One connection of a caller.
pub(crate) struct Caller {
    stream: BufReader<TcpStream>,
    last_method: String,
}

impl Caller {
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap()
    }

    /// The same where nobody may listen any more.
    pub(crate) fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            last_method: "GET".to_owned(),
        })
    }

    /// Sends a request; a body gets a Content-Length.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        self.last_method = method.to_owned();
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        self.write(request.as_bytes());
        self.write(body);
    }

    /// Writes bytes; a server that has closed already is for the answer to tell.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Begins a large upload, of which the first bytes are on their way, if there is room for them.
    pub(crate) fn begin_upload(&mut self, target: &str, bytes: usize) {
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
        self.write(head.as_bytes());
        let second = Some(Duration::from_secs(1));
        self.stream.get_ref().set_write_timeout(second).unwrap();
        self.write(&vec![b'x'; bytes]);
    }

    /// Hangs up with a reset, as a process that is killed, or a proxy, may do.
    pub(crate) fn reset(self) {
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(self.stream.get_ref(), Linger, &at_once).unwrap();
    }

    pub(crate) fn half_close(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the server closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.read(&mut byte), Ok(1))
    }

    /// Waits for the end of the connection, whatever comes before it.
    pub(crate) fn read_to_end(&mut self) {
        let ended = self.stream.read_to_end(&mut Vec::new());
        let late = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!late, "the connection is still open");
    }

    /// Reads one answer, which must come.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Reads one answer; none if the connection is closed without a byte.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.status == 100 {
            return Some(answer);
        }
        let length = answer.header("Content-Length");
        if self.last_method == "HEAD" || answer.status == 304 {
        } else if answer.header("Transfer-Encoding") == Some("chunked") {
            self.chunks(&mut answer.body);
        } else if let Some(length) = length {
            let length: u64 = length.parse().unwrap();
            let mut body = Vec::new();
            (&mut self.stream)
                .take(length)
                .read_to_end(&mut body)
                .unwrap();
            assert_eq!(body.len() as u64, length, "the answer is cut short");
            answer.body = body;
        } else {
            self.stream.read_to_end(&mut answer.body).unwrap();
        }
        Some(answer)
    }

    /// Reads on until this text has come.
    pub(crate) fn read_past(&mut self, text: &str) {
        let mut read = Vec::new();
        while !read.ends_with(text.as_bytes()) {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect(text);
            read.push(byte[0]);
        }
    }

    /// The status, what came of a chunked answer, and whether that was all of it.
    pub(crate) fn broken_answer(&mut self) -> (u16, String, bool) {
        let head = self.head().expect("an answer");
        let mut raw = Vec::new();
        let _ = self.stream.read_to_end(&mut raw);
        let mut rest = raw.as_slice();
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            let _ = rest.read_line(&mut line);
            let size = usize::from_str_radix(line.trim_end(), 16).ok();
            match size {
                None => return (head.status, String::from_utf8(body).unwrap(), false),
                Some(0) => return (head.status, String::from_utf8(body).unwrap(), true),
                Some(size) => body.extend_from_slice(&rest[..size]),
            }
            rest = &rest[size.unwrap() + 2..];
        }
    }

    /// Posts a body while reading the answer to it.
    pub(crate) fn echo(&mut self, body: &[u8], chunked: bool) -> Vec<u8> {
        let mut writer = self.stream.get_ref().try_clone().unwrap();
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", body.len())
        };
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
                writer.write_all(head.as_bytes()).unwrap();
                if !chunked {
                    return writer.write_all(body).unwrap();
                }
                for piece in body.chunks(10_007) {
                    let size = format!("{:x}\r\n", piece.len());
                    writer.write_all(size.as_bytes()).unwrap();
                    writer.write_all(piece).unwrap();
                    writer.write_all(b"\r\n").unwrap();
                }
                writer.write_all(b"0\r\n\r\n").unwrap();
            });
            self.answer().body
        })
    }

    fn head(&mut self) -> Option<Answer> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let (version, rest) = line.trim_end().split_once(' ').unwrap();
        let mut answer = Answer {
            version: version.to_owned(),
            status: rest[..3].parse().unwrap(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else {
                return Some(answer);
            };
            answer.headers.push((name.into(), value.trim().into()));
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let size = u64::from_str_radix(line.trim_end(), 16).expect("a chunk");
            (&mut self.stream).take(size).read_to_end(body).unwrap();
            self.stream.read_line(&mut line).unwrap();
            if size == 0 {
                return;
            }
        }
    }
}

/// An answer, names as they were written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header by its exact, canonical name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts on status and body together.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text().as_str()), (status, body));
    }

    /// The lines of the body.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}
