//! A disk that fails on command, under the real daemon: `bad_disk.c`, compiled with the C compiler that Rust needs anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

use alloy::hex;

/// The disk under one daemon.
#[derive(Debug, Clone)]
pub struct BadDisk {
    library: PathBuf,
    orders: PathBuf,
    trace: PathBuf,
}

/// What the disk and the wire saw, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were handed to the write-ahead log.
    Written(Vec<u8>),
    /// All of them so far are on the disk.
    Synced,
    /// The signed bytes of a transaction leave for the node.
    Sent(Vec<u8>),
}

impl BadDisk {
    /// `None`, with a word about it, where a daemon cannot be given one.
    pub fn build(folder: &Path) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            eprintln!("SKIPPED: a disk that fails on command needs Linux with glibc");
            return None;
        }
        let disk = Self {
            library: folder.join("bad_disk.so"),
            orders: folder.join("bad_disk.orders"),
            trace: folder.join("bad_disk.trace"),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/bad_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&disk.library).arg(source);
        let built = compiler.output().expect("a C compiler: cc");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(disk)
    }

    /// Puts the disk under a daemon that is about to start.
    pub fn lie_under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("BAD_DISK_ORDERS", &self.orders).env("BAD_DISK_TRACE", &self.trace);
    }

    /// From now on, until the next order.
    pub fn obey(&self, order: &str) {
        let new = self.orders.with_extension("new");
        std::fs::write(&new, order).expect("an order");
        std::fs::rename(new, &self.orders).expect("an order");
    }

    /// No trouble any more.
    pub fn be_well(&self) {
        self.obey("well");
    }

    pub fn seen(&self) -> Vec<Event> {
        let trace = std::fs::read_to_string(&self.trace).expect("a trace");
        trace.lines().filter_map(event).collect()
    }
}

fn event(line: &str) -> Option<Event> {
    match line.split_once(' ')? {
        ("write", bytes) => Some(Event::Written(hex::decode(bytes).expect("hex"))),
        ("sync", _) => Some(Event::Synced),
        ("send", request) => {
            let (_, rest) = request.split_once("eth_sendRawTransaction")?;
            let (_, raw) = rest.split_once("\"0x")?;
            Some(Event::Sent(hex::decode(raw.split_once('"')?.0).expect("hex")))
        }
        _ => None,
    }
}
