use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    process::{self, Command},
    time::{Duration, SystemTime},
};

use ringrift_job::{Ending, How, Usage};
use rustix::process::{Signal, WaitOptions, WaitStatus};
use tokio::{
    io::AsyncReadExt as _,
    net::{UnixStream, unix::pipe},
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use super::{EXEC, take_stdin};
use crate::{
    StopReason,
    plain::{
        cgroup::Leaf,
        log::Log,
        manifest::{Phase, RunDir, Spec, State, monotonic_ms},
        process::{Process, Stat, Table, world},
    },
};

/// How often what does not die is killed again: it may have been forking.
const KILL_AGAIN: Duration = Duration::from_millis(200);
/// How often an ending that cannot be written is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);
/// As much as a pipe holds.
const BUFFER_BYTES: usize = 64 << 10;

/// Runs one program to its end. Standard input is the run's lock, which is held until this process is gone; standard output is
/// closed when the program runs or never will.
pub(super) fn supervise(directory: &RunDir) -> io::Result<()> {
    let _lock = take_stdin()?;
    // It fails for the leader of a group, which then has a session of its own already.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_name(c"ringrift-shim")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(watch(directory))
}

/// The program and what is around it.
struct Run<'a> {
    directory: &'a RunDir,
    state: State,
    leaf: Option<Leaf>,
    log: Log,
    began: u64,
}

async fn watch(directory: &RunDir) -> io::Result<()> {
    // Before anybody learns who we are: a signal must find us listening.
    let mut asked = signal(SignalKind::terminate())?;
    let mut died = signal(SignalKind::child())?;
    let _ignored = [signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
    let spec = directory.spec()?;
    let shim = Process::of(process::id()).ok_or_else(|| io::Error::other("/proc says nothing of this process"))?;
    let mut run = Run {
        directory,
        state: State { world: world(), shim, phase: Phase::Starting },
        leaf: spec.cgroup.clone().map(Leaf::new),
        log: Log::new(spec.log.clone()),
        began: monotonic_ms(),
    };
    directory.set_state(&run.state)?;
    // Only now: who asked before it was written has left a note, who asks after it sends a signal.
    if let Some(reason) = directory.stop()? {
        return run.end(how_stopped(reason)).await;
    }
    if let Some(leaf) = &run.leaf
        && let Err(error) = leaf.create(&spec.launch.limits)
    {
        return run.end(How::NotStarted { reason: format!("its control group cannot be made: {error}") }).await;
    }
    let (mut status, output, pid) = match start(directory, &spec) {
        Ok(started) => started,
        Err(error) => {
            return run.end(How::NotStarted { reason: format!("{} cannot be started: {error}", spec.shim[0]) }).await;
        }
    };
    let main = Process::of(pid).ok_or_else(|| io::Error::other("/proc says nothing of the program"))?;
    let since_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
    run.began = monotonic_ms();
    let (mut reason, mut settled, mut silent) = (Vec::new(), false, false);
    let mut stopping: Option<StopReason> = None;
    let mut kill_at = Instant::now();
    let mut buffer = vec![0; BUFFER_BYTES];

    let exit = loop {
        tokio::select! {
            _ = died.recv() => if let Some(exit) = reap(pid).exit { break exit },
            _ = asked.recv(), if stopping.is_none() => {
                stopping = Some(directory.stop().ok().flatten().unwrap_or(StopReason::Unwanted));
                // One that a signal has halted could not end otherwise.
                main.signal(Signal::TERM);
                main.signal(Signal::CONT);
                kill_at = Instant::now() + spec.launch.grace;
            }
            () = tokio::time::sleep_until(kill_at), if stopping.is_some() => {
                run.kill();
                kill_at = Instant::now() + KILL_AGAIN;
            }
            read = status.read_buf(&mut reason), if !settled => {
                settled = read? == 0;
                if settled && reason.is_empty() {
                    run.state.phase = Phase::Running { main, since_ms, monotonic_ms: run.began };
                    run.save();
                    tell_daemon()?;
                }
            }
            ready = output.readable(), if !silent => {
                ready?;
                silent = run.copy(&output, &mut buffer, 1);
            }
        }
    };
    // What is left of it goes at once, as under systemd (KillMode=mixed, once the main process has ended).
    while reap(pid).left || run.leaf.as_ref().is_some_and(Leaf::is_populated) {
        run.kill();
        run.copy(&output, &mut buffer, usize::MAX);
        let _ = tokio::time::timeout(KILL_AGAIN, died.recv()).await;
    }
    run.copy(&output, &mut buffer, usize::MAX);
    // The other end is closed for sure now.
    while status.try_read_buf(&mut reason).is_ok_and(|length| length > 0) {}
    let how = match stopping {
        _ if !reason.is_empty() => How::NotStarted { reason: String::from_utf8_lossy(&reason).into_owned() },
        Some(reason) => how_stopped(reason),
        None if !exit.is_success() && run.leaf.as_ref().is_some_and(Leaf::was_out_of_memory) => How::OutOfMemory,
        None => exit,
    };
    run.end(how).await
}

impl Run<'_> {
    /// Kills the program and all that it has started.
    fn kill(&self) {
        if let Some(leaf) = &self.leaf {
            leaf.kill();
        }
        // Also what has left the group, if there is one.
        for stat in Table::read().descendants(process::id()) {
            stat.process.signal(Signal::KILL);
        }
    }

    /// Copies what the program has written to its log, so many buffers of it at most. Says whether nothing more can come.
    fn copy(&mut self, output: &pipe::Receiver, buffer: &mut [u8], buffers: usize) -> bool {
        for _ in 0..buffers {
            match output.try_read(buffer) {
                Ok(0) => return true,
                Ok(length) => self.log.write(&buffer[..length]),
                Err(_) => return false,
            }
        }
        false
    }

    /// Writes down how it ended.
    async fn end(&mut self, how: How) -> io::Result<()> {
        let ran_ms = if matches!(how, How::NotStarted { .. }) { 0 } else { monotonic_ms().saturating_sub(self.began) };
        let waited = Stat::of(process::id()).map(|stat| stat.waited_cpu_ms());
        let Usage { cpu_ms, memory_peak, .. } = self.leaf.as_ref().map(Leaf::usage).unwrap_or_default();
        let usage = Usage { cpu_ms: cpu_ms.or(waited), memory_peak, ..Usage::default() };
        if let Some(leaf) = &self.leaf {
            // It stays behind only if somebody else has put a process or a group into it.
            let _ = leaf.remove();
        }
        self.state.phase = Phase::Ended { ending: Ending { how, ran_ms, usage } };
        // The disk may be full: nobody else knows how it ended, so this waits until it can be told.
        while !self.save() {
            tokio::time::sleep(SAVE_AGAIN).await;
        }
        tell_daemon()
    }

    fn save(&self) -> bool {
        self.directory.set_state(&self.state).is_ok()
    }
}

/// Starts what becomes the program: the socket on which it says why it cannot, its output, and its number.
fn start(directory: &RunDir, spec: &Spec) -> io::Result<(UnixStream, pipe::Receiver, u32)> {
    let (status, theirs) = std::os::unix::net::UnixStream::pair()?;
    status.set_nonblocking(true)?;
    let (output, input) = io::pipe()?;
    let (program, arguments) = spec.shim.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let child = Command::new(program)
        .args(arguments)
        .arg(EXEC)
        .arg(directory.path())
        .stdin(OwnedFd::from(theirs))
        .stdout(input.try_clone()?)
        .stderr(input)
        .spawn()?;
    Ok((UnixStream::from_std(status)?, pipe::Receiver::from_owned_fd(output.into())?, child.id()))
}

struct Reaped {
    /// How the main process ended, if it was among them.
    exit: Option<How>,
    /// Whether there are others, that live.
    left: bool,
}

/// Takes the endings of all children that have ended, also of those that the program left behind.
fn reap(main: u32) -> Reaped {
    let mut exit = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_pid()) == Ok(main) => exit = how_ended(status),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Reaped { exit, left: true },
            Err(_) => return Reaped { exit, left: false },
        }
    }
}

fn how_ended(status: WaitStatus) -> Option<How> {
    let exited = status.exit_status().map(|code| How::Exited { code });
    exited.or_else(|| status.terminating_signal().map(|signal| How::Signalled { signal }))
}

fn how_stopped(reason: StopReason) -> How {
    match reason {
        StopReason::Unwanted => How::Stopped,
        StopReason::Deadline => How::TimedOut,
    }
}

/// Closes standard output, on which the daemon waits, if it is still there.
fn tell_daemon() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(File::open("/dev/null")?)?)
}
