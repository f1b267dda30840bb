//! Commands in a pod, as the caller sees them.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::{Sandbox, answer};
use crate::error::{SandboxError, io};
use crate::protocol::{PodName, Request, Response};
use crate::wire::Wire;

/// A command, and the pod that it runs in.
#[derive(Clone, Debug)]
pub struct Command {
    /// The pod.
    pub pod: PodName,
    /// The container whose environment and folder it gets; `None`: the first.
    pub container: Option<String>,
    /// Program and arguments.
    pub words: Vec<String>,
    /// Variables over the container's.
    pub env: Vec<(String, String)>,
}

impl Command {
    /// A command in the surroundings of the pod's first container.
    pub fn new(pod: impl Into<PodName>, words: &[&str]) -> Self {
        let words = words.iter().map(ToString::to_string).collect();
        Self { pod: pod.into(), container: None, words, env: Vec::new() }
    }
}

/// How a command ended, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 and more for a signal, as in a shell.
    pub code: i32,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// A command that runs. It is killed when this is dropped.
pub struct Running {
    wire: Wire,
    host_pid: i32,
    pipes: Option<(pipe::Receiver, pipe::Receiver)>,
}

impl Sandbox {
    /// Runs a command in a pod to its end.
    ///
    /// # Errors
    /// It cannot be started; an exit code other than 0 is no error.
    pub async fn exec(&self, pod: impl Into<PodName>, words: &[&str]) -> Result<Output, SandboxError> {
        self.spawn_in(pod, words).await?.output().await
    }

    /// Starts a command in a pod, without input and with its output kept for [`Running::output`].
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn spawn_in(&self, pod: impl Into<PodName>, words: &[&str]) -> Result<Running, SandboxError> {
        let (output, far_output) = pipe_pair()?;
        let (errors, far_errors) = pipe_pair()?;
        let input = File::open("/dev/null").map_err(io("open /dev/null"))?;
        let streams = [input.into(), far_output, far_errors];
        let mut running = self.start_command(Command::new(pod, words), streams).await?;
        running.pipes = Some((output, errors));
        Ok(running)
    }

    /// Starts a command with these as its standard input, output and error.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_command(&self, command: Command, streams: [OwnedFd; 3]) -> Result<Running, SandboxError> {
        let mut wire = self.wire().await?;
        let Command { pod, container, words, env } = command;
        let request = Request::Exec { pod, container, command: words, env };
        let [input, output, errors] = &streams;
        wire.send(&request, &[input.as_fd(), output.as_fd(), errors.as_fd()]).await.map_err(io("ask the sandbox"))?;
        match answer(&mut wire).await? {
            (Response::Started { host_pid }, _) => Ok(Running { wire, host_pid, pipes: None }),
            _ => Err(SandboxError::Ended),
        }
    }
}

impl Running {
    /// Its pid as this machine's /proc has it.
    pub fn host_pid(&self) -> i32 {
        self.host_pid
    }

    /// Sends it a signal, and everything in its session.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn signal(&mut self, signal: i32) -> Result<(), SandboxError> {
        self.wire.send(&Request::Signal(signal), &[]).await.map_err(io("ask the sandbox"))
    }

    /// Its exit code; 128 and more for a signal. Cancel-safe.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn wait(&mut self) -> Result<i32, SandboxError> {
        match answer(&mut self.wire).await? {
            (Response::Ended { code }, _) => Ok(code),
            _ => Err(SandboxError::Ended),
        }
    }

    /// Reads what it writes to its end, and waits for that.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn output(mut self) -> Result<Output, SandboxError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let Some((output, errors)) = &mut self.pipes {
            let both = tokio::try_join!(output.read_to_end(&mut stdout), errors.read_to_end(&mut stderr));
            both.map_err(io("read a command's output"))?;
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { code: self.wait().await?, stdout: text(stdout), stderr: text(stderr) })
    }
}

fn pipe_pair() -> Result<(pipe::Receiver, OwnedFd), SandboxError> {
    let (near, far) = std::io::pipe().map_err(io("make a pipe"))?;
    let near = pipe::Receiver::from_owned_fd(near.into()).map_err(io("make a pipe"))?;
    Ok((near, far.into()))
}
