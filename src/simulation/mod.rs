//! The daemon's lanes, its observer, its verbs and its database, on a chain with geth's rules, through faults that a seed
//! decides. Only the tests know this room.
//!
//! A life is one thread and one order of things: every request to a node waits at a gate ([`gate`]) until the driver
//! ([`life`]) lets it go on, so a worker can be overtaken, starved or killed at each of them; time is tokio's, and stands
//! still unless the driver moves it. The database is the real one. After every step of the observer the database must say
//! what the chain said in that block ([`truth`]).
//!
//! A violation prints its seed. `PREAUTHD_SEED=N cargo nextest run whatever_a_seed --no-capture` lives that life again, with a log;
//! `PREAUTHD_SEEDS=N` chooses how many lives are lived, `PREAUTHD_FIRST_SEED=N` where they begin, `PREAUTHD_STEPS=N` how long
//! each is stormy, `PREAUTHD_THREADS=N` how many are lived at once.

mod answers;
mod calm;
mod contract;
mod forks;
mod gate;
mod life;
mod network;
mod node;
mod requests;
mod stage;
mod truth;
mod weather;
mod workers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use life::{Life, Report};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Lives when nobody says how many; `make test` asks for more.
const SEEDS: u64 = 100;
/// Steps of bad weather in a life.
const STEPS: u32 = 90;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_a_seed_brings_nothing_is_lost_and_nothing_happens_twice() {
    let folder = folder();
    runtime().block_on(stage::furnish(folder.path()));
    if let Some(seed) = setting("PREAUTHD_SEED") {
        let lived = listening(true, |errors| live(seed, folder.path(), errors));
        let report = lived.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        println!("seed {seed}: {report:?}");
        return;
    }
    let (first, count) =
        (setting("PREAUTHD_FIRST_SEED").unwrap_or(1), setting("PREAUTHD_SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(first);
    let (reports, failures) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let live_on = &|errors: &Errors| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failures.lock().unwrap().len() >= 5 {
                return;
            }
            match live(seed, folder.path(), errors) {
                Ok(report) => reports.lock().unwrap().push(report),
                Err(why) => drop(failures.lock().unwrap().insert(seed, why)),
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..threads() {
            scope.spawn(move || {
                keep_to_a_core(number);
                listening(false, live_on);
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let reports = reports.into_inner().unwrap();
    print(&reports, failures.len());
    assert!(failures.is_empty(), "live one again with PREAUTHD_SEED=…: {failures:#?}");
}

/// Lives the life of a seed in a copy of the furnished database.
fn live(seed: u64, furnished: &Path, errors: &Errors) -> Result<Report, String> {
    errors.0.lock().unwrap().clear();
    let folder = folder();
    for file in std::fs::read_dir(furnished).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let steps = setting("PREAUTHD_STEPS").map_or(STEPS, |steps| u32::try_from(steps).unwrap());
    let life = std::panic::AssertUnwindSafe(|| {
        runtime().block_on(async {
            // As long as something blocks, tokio does not move the clock by itself.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let hold = tokio::task::spawn_blocking(move || released.recv());
            let lived = Life::begin(seed, folder.path().to_owned()).live(steps).await;
            drop(release);
            let _ = hold.await;
            lived
        })
    });
    let lived = std::panic::catch_unwind(life).unwrap_or_else(|panic| Err(words_of(panic)));
    let said = errors.0.lock().unwrap();
    let complaint = said.lines().find(|line| line.contains("ERROR"));
    match complaint {
        Some(complaint) if lived.is_ok() => Err(format!("it logged an error: {complaint}")),
        _ => lived,
    }
}

/// A folder in memory where the system has one: nothing here is about disks.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// Threads that live: as many as there are cores, `PREAUTHD_THREADS` where others need some.
fn threads() -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    setting("PREAUTHD_THREADS").map_or_else(cores, |threads| usize::try_from(threads).unwrap())
}

/// Keeps this thread, and those it will begin, to one of the cores it may use: a life and its database hand each other every
/// statement, so they never have anything to do at the same time, and waking somebody on another core takes longer than most
/// of what they do. Only a saving: where it cannot be done, nothing is lost.
fn keep_to_a_core(number: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let Ok(allowed) = sched_getaffinity(None) else { return };
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let mut mine = CpuSet::new();
        mine.set(cores[number % cores.len()]);
        let _ = sched_setaffinity(None, &mine);
    }
}

/// Listens to what is logged meanwhile: aloud to everything, else to errors. Once for many lives, because every new
/// listener is introduced to all who might speak.
fn listening<T>(aloud: bool, meanwhile: impl FnOnce(&Errors) -> T) -> T {
    let errors = Errors::default();
    let listener = tracing_subscriber::fmt()
        .with_env_filter(if aloud { "preauthd=trace" } else { "preauthd=error" })
        .with_writer(if aloud {
            BoxMakeWriter::new(std::io::stdout)
        } else {
            BoxMakeWriter::new(errors.clone())
        })
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(listener, || meanwhile(&errors))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn words_of(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// What was lived through, for whoever wants to know that it was about something.
fn print(reports: &[Report], violations: usize) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    for (status, count) in reports.iter().flat_map(|report| &report.tally) {
        *tally.entry(status).or_default() += count;
    }
    println!("lives: {}, violations: {violations}", reports.len());
    println!(
        "steps: {}, requests to nodes: {}, crashes: {}, of which {} while waiting for the \
         database, reorgs: {}, comparisons: {}",
        sum(|report| report.steps),
        sum(|report| report.requests),
        sum(|report| report.crashes),
        sum(|report| report.deaths),
        sum(|report| report.reorgs),
        sum(|report| report.looks)
    );
    println!(
        "correcting events: {}, in {} lives",
        sum(|report| report.corrections),
        sum(|report| report.corrections.min(1))
    );
    println!("preauthorizations: {tally:?}");
    let mut healing: Vec<u64> = reports.iter().map(|report| report.healing).collect();
    healing.sort_unstable();
    if let (Some(median), Some(longest)) = (healing.get(healing.len() / 2), healing.last()) {
        let most = healing[healing.len() * 99 / 100];
        println!(
            "from the last fault until nothing was left to do, in blocks: median {median}, 99 % within {most}, \
             longest {longest}"
        );
    }
}

/// What was logged in a life.
#[derive(Clone, Default)]
struct Errors(std::sync::Arc<Mutex<String>>);

impl std::io::Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Errors {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
