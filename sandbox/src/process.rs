//! Processes in a pod: how they start, and how their ends are collected (the supervisor is process 1 of its namespace).

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::net::Namespaces;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Ended {
    /// As a shell counts it: signals are 128 and more.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What to start, and where.
pub(crate) struct Program {
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) folder: PathBuf,
    pub(crate) namespaces: Arc<Namespaces>,
}

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{program} is neither in PATH nor in {}", folder.display())]
    NotFound { program: String, folder: PathBuf },
    #[error("the command is empty")]
    Empty,
    #[error("its pod has no network yet")]
    NoNetwork,
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
}

/// A process that runs, and the moment it ends.
pub(crate) struct Started {
    pub(crate) pid: Pid,
    /// The pid as this machine's /proc shows it, from outside of the sandbox.
    pub(crate) host_pid: i32,
    pub(crate) ended: oneshot::Receiver<Ended>,
}

/// Standard input, output and error.
pub(crate) struct Streams(pub(crate) Stdio, pub(crate) Stdio, pub(crate) Stdio);

/// Starts processes and reaps every child of this process, also those that were left to it.
pub(crate) struct Processes {
    waiting: RefCell<HashMap<Pid, oneshot::Sender<Ended>>>,
    /// Where the project's own programs are.
    build: PathBuf,
}

impl Processes {
    /// Must run within a `LocalSet`, in the process that is the parent of all.
    pub(crate) fn new(build: PathBuf) -> io::Result<Rc<Self>> {
        let mut children = signal(SignalKind::child())?;
        let processes = Rc::new(Self { waiting: RefCell::default(), build });
        let reaper = processes.clone();
        tokio::task::spawn_local(async move {
            while children.recv().await.is_some() {
                reaper.reap();
            }
        });
        Ok(processes)
    }

    /// Starts `program` as the leader of a session of its own, in its pod.
    pub(crate) fn start(&self, program: &Program, streams: Streams) -> Result<Started, StartError> {
        let name = program.command.first().ok_or(StartError::Empty)?;
        let file = self.find(name, &program.env)?;
        let failed = |source| StartError::Start { program: name.clone(), source };
        let folder = CString::new(program.folder.as_os_str().as_bytes()).map_err(|e| failed(e.into()))?;
        let namespaces = program.namespaces.clone();
        let mut command = Command::new(file);
        command.arg0(name).args(&program.command[1..]).env_clear().envs(program.env.iter().cloned());
        command.stdin(streams.0).stdout(streams.1).stderr(streams.2);
        // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                namespaces.enter()?;
                Ok(nix::unistd::chdir(folder.as_c_str())?)
            });
        }
        let child = command.spawn().map_err(failed)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let (done, ended) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, done);
        Ok(Started { pid, host_pid: host_pid(pid).unwrap_or(pid.as_raw()), ended })
    }

    fn reap(&self) {
        loop {
            let (pid, ended) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ended::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Killed(signal as i32)),
                Err(Errno::EINTR) => continue,
                Ok(_) | Err(_) => return,
            };
            if let Some(waiting) = self.waiting.borrow_mut().remove(&pid) {
                // Nobody waits any more when the pod was given up.
                let _ = waiting.send(ended);
            }
        }
    }

    /// By PATH, where the build folder stands first; a name with a slash is taken as it is.
    fn find(&self, name: &str, env: &[(String, String)]) -> Result<PathBuf, StartError> {
        if name.contains('/') {
            return Ok(PathBuf::from(name));
        }
        let path = env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
        let folders = path.unwrap_or_default().split(':').filter(|folder| !folder.is_empty()).map(Path::new);
        let found = folders.chain([self.build.as_path()]).map(|folder| folder.join(name)).find(|file| executable(file));
        found.ok_or_else(|| StartError::NotFound { program: name.to_owned(), folder: self.build.clone() })
    }
}

fn executable(file: &Path) -> bool {
    file.is_file() && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// Signals the whole session that a container began.
pub(crate) fn signal_group(leader: Pid, signal: Signal) {
    // It may have ended already, which is what the caller wants.
    let _ = nix::sys::signal::killpg(leader, signal);
}

/// The pid in the namespace of the mounted /proc, which is the machine's.
fn host_pid(pid: Pid) -> Option<i32> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the descriptor was made just now and nobody else owns it.
    let fd = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&fd))).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}
