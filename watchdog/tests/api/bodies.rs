//! Bodies of any size, on disks of any size.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::{Watchdog, program, wait_until};

/// Differs on purpose in the memory it takes (below), and in nothing a caller sees.
#[test]
fn large_bodies_come_through_identical_row_47() {
    let body: Vec<u8> = (0..52_428_800u32).map(|n| (n % 251) as u8).collect();
    Watchdog::start("wc -c").post(&body).is(200, "52428800\n");
    let answer = Watchdog::start("cat").post(&body);
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert!(answer.body == body);
}

#[test]
fn bodies_around_the_memory_limit_come_through() {
    let watchdog = Watchdog::start("cat");
    for size in [1_048_575, 1_048_576, 1_048_577, 1_179_648] {
        let body: Vec<u8> = (0..size).map(|n: u32| (n % 253) as u8).collect();
        assert!(watchdog.post(&body).body == body, "{size}");
    }
}

/// The original needed four times the body.
#[test]
fn memory_does_not_grow_with_bodies() {
    const SIZE: usize = 200 * 1024 * 1024;
    let watchdog = Watchdog::start("cat");
    let mut sending = TcpStream::connect(("127.0.0.1", watchdog.port)).unwrap();
    let mut receiving = sending.try_clone().unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n"
    );
    sending.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..SIZE / piece.len() {
        sending.write_all(&piece).unwrap();
    }
    let (mut received, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match receiving.read(&mut buffer).unwrap() {
            0 => break,
            read => received += read,
        }
    }
    assert!(received > SIZE, "{received}");
    let peak = watchdog.memory_kb("VmHWM");
    assert!(peak < 30_000, "peak of {peak} kB");
    assert!(no_large_files_open(&watchdog), "the spool is gone");
}

fn no_large_files_open(watchdog: &Watchdog) -> bool {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", watchdog.pid())).unwrap();
    let targets = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    !targets
        .into_iter()
        .any(|target| target.to_string_lossy().contains("(deleted)"))
}

/// A small disk of its own.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        mount(
            Some("none"),
            directory.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=4m"),
        )
        .expect("this test mounts a small tmpfs: run it as root");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

/// A watchdog whose bodies are kept on the small disk.
fn watchdog_on(disk: &SmallDisk, fprocess: &str) -> Watchdog {
    let directory = tempfile::tempdir_in(disk.path()).unwrap();
    Watchdog::launch(program(), directory, fprocess, &[])
}

#[test]
fn a_full_disk_is_told_for_a_request_body() {
    let disk = SmallDisk::new();
    let watchdog = watchdog_on(&disk, "wc -c");
    let answer = watchdog.post(vec![b'x'; 12_000_000]);
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("no space left on device"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains(disk.path().to_str().unwrap()));
    assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
    watchdog.wait_for_log("no space left on device");
    assert!(no_large_files_open(&watchdog));
    // The next one fits again.
    watchdog.post(vec![b'x'; 3_000_000]).is(200, "3000000\n");
}

/// Whichever write it is that fails: the last one is only reported when the body is complete.
#[test]
fn a_disk_that_is_a_little_too_small_is_told() {
    let disk = SmallDisk::new();
    let watchdog = watchdog_on(&disk, "cat");
    for missing in [1, 4096, 40_000] {
        let answer = watchdog.post(vec![b'x'; (4 << 20) + missing]);
        assert_eq!(answer.status, 500, "{missing}");
    }
}

#[test]
fn a_full_disk_is_told_for_an_output() {
    let disk = SmallDisk::new();
    let watchdog = watchdog_on(&disk, "cat /dev/zero");
    let answer = watchdog.get("/");
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("no space left on device"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
    wait_until("the process is stopped", || watchdog.children().is_empty());
    assert!(no_large_files_open(&watchdog));
}
