//! The library's side of a sandbox: start one, or attach to one by its name, and ask it for things.

mod change;
mod exec;
mod launch;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tokio::net::TcpStream;

pub use exec::{Command, Output, Running};
pub use launch::SUPERVISOR;
use launch::Supervisor;

use crate::error::{SandboxError, io};
use crate::manifest::{ManifestError, Manifests};
use crate::protocol::{Event, Listing, Pod, PodName, Request, Response, Service};
use crate::rundir;
use crate::supervisor::SOCKET;
use crate::wire::Wire;

/// What a sandbox is started from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name: several run side by side under different ones.
    pub name: String,
    /// What runs in it.
    pub manifests: Manifests,
    /// The program that the supervisor is started from, with the one argument [`SUPERVISOR`]; `None`: `weft`, beside
    /// this program or in PATH.
    pub program: Option<PathBuf>,
    /// Settings (`WEFT_...`) of every sidecar, over the sandbox's own.
    pub proxy_env: Vec<(String, String)>,
    /// Settings (`WEFT_...`) of the control plane, over the sandbox's own.
    pub control_plane_env: Vec<(String, String)>,
}

impl Options {
    /// From these files and folders.
    ///
    /// # Errors
    /// What [`Manifests::read`] refuses.
    pub fn from_files(name: &str, files: &[PathBuf]) -> Result<Self, ManifestError> {
        Ok(Self::new(name, Manifests::read(files)?))
    }

    /// From the text of manifests.
    ///
    /// # Errors
    /// What [`Manifests::add`] refuses.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ManifestError> {
        let mut manifests = Manifests::default();
        manifests.add(text, "the manifest")?;
        Ok(Self::new(name, manifests))
    }

    fn new(name: &str, manifests: Manifests) -> Self {
        Self { name: name.to_owned(), manifests, program: None, proxy_env: Vec::new(), control_plane_env: Vec::new() }
    }
}

/// A running sandbox. One that was started here ends when this value is dropped; one that was attached to stays.
#[derive(Debug)]
pub struct Sandbox {
    folder: PathBuf,
    supervisor: Option<Supervisor>,
}

impl Sandbox {
    /// Starts a sandbox and waits until every pod is ready.
    ///
    /// # Errors
    /// What is missing, in one sentence.
    pub async fn up(options: Options) -> Result<Self, SandboxError> {
        let mut sandbox = Self::start(options).await?;
        loop {
            match sandbox.next_event().await {
                Some(Event::Ready) => return Ok(sandbox),
                Some(Event::Failed(reason)) => return Err(SandboxError::Failed { reason }),
                Some(Event::Warning(text)) => tracing::warn!("{text}"),
                Some(Event::Started) => {}
                None => return Err(SandboxError::Ended),
            }
        }
    }

    /// Starts a sandbox and waits until it answers; its pods come up meanwhile, as [`Sandbox::next_event`] tells.
    ///
    /// # Errors
    /// What is missing, in one sentence.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let (folder, supervisor) = launch::launch(options).await?;
        let mut sandbox = Self { folder, supervisor: Some(supervisor) };
        loop {
            match sandbox.next_event().await {
                Some(Event::Failed(reason)) => return Err(SandboxError::Failed { reason }),
                Some(Event::Started) => return Ok(sandbox),
                Some(Event::Warning(_) | Event::Ready) => {}
                None => return Err(SandboxError::Ended),
            }
        }
    }

    /// The sandbox of this name, which runs already.
    ///
    /// # Errors
    /// There is none.
    pub fn attach(name: &str) -> Result<Self, SandboxError> {
        Ok(Self { folder: rundir::find(name)?, supervisor: None })
    }

    /// What the supervisor has to tell; `None` when it has ended, and always for a sandbox that was attached to.
    /// Cancel-safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.supervisor.as_mut()?.next_event().await
    }

    /// Where the sandbox keeps its logs and its control socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that runs.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn list(&self) -> Result<Listing, SandboxError> {
        match self.ask(Request::List).await? {
            Response::Listing(listing) => Ok(listing),
            _ => Err(SandboxError::Ended),
        }
    }

    /// Every pod that is not on its way out.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn pods(&self) -> Result<Vec<Pod>, SandboxError> {
        Ok(self.list().await?.pods)
    }

    /// The one pod of this name; the control plane is `weft-control-plane`.
    ///
    /// # Errors
    /// There is none, or several in different namespaces.
    pub async fn find(&self, pod: impl Into<PodName>) -> Result<Pod, SandboxError> {
        match self.ask(Request::Find(pod.into())).await? {
            Response::Pod(pod) => Ok(pod),
            _ => Err(SandboxError::Ended),
        }
    }

    /// Every Service.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn services(&self) -> Result<Vec<Service>, SandboxError> {
        Ok(self.list().await?.services)
    }

    /// Waits until every pod is ready.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub async fn ready(&self) -> Result<(), SandboxError> {
        self.ask(Request::Ready).await.map(drop)
    }

    /// A connection to `address` that comes from within the pod `from`, or from the bridge, outside of every pod.
    ///
    /// # Errors
    /// Nobody answers there, in the supervisor's words.
    pub async fn connect(&self, from: Option<PodName>, address: IpAddr, port: u16) -> Result<TcpStream, SandboxError> {
        let mut wire = self.wire().await?;
        let to = SocketAddr::new(address, port);
        wire.send(&Request::Connect { from, to }, &[]).await.map_err(io("ask the sandbox"))?;
        let (_, mut sockets) = answer(&mut wire).await?;
        let socket: OwnedFd = sockets.pop().ok_or(SandboxError::Ended)?;
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true).map_err(io("take over a socket"))?;
        TcpStream::from_std(socket).map_err(io("take over a socket"))
    }

    /// Ends the sandbox and waits until nothing is left of it.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn down(self) -> Result<(), SandboxError> {
        let mut wire = self.wire().await?;
        wire.send(&Request::Down, &[]).await.map_err(io("ask the sandbox"))?;
        // Its end is the answer, orderly or not.
        while let Ok(Some(_)) = wire.receive::<Response>().await {}
        Ok(())
    }

    /// Lets the sandbox live on without this process.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub fn detach(mut self) -> Result<(), SandboxError> {
        self.supervisor.take().map_or(Ok(()), Supervisor::detach)
    }

    async fn ask(&self, request: Request) -> Result<Response, SandboxError> {
        let mut wire = self.wire().await?;
        wire.send(&request, &[]).await.map_err(io("ask the sandbox"))?;
        Ok(answer(&mut wire).await?.0)
    }

    async fn wire(&self) -> Result<Wire, SandboxError> {
        Wire::connect(&self.folder.join(SOCKET)).await.map_err(|_| SandboxError::Ended)
    }
}

async fn answer(wire: &mut Wire) -> Result<(Response, Vec<OwnedFd>), SandboxError> {
    match wire.receive().await.map_err(io("hear the sandbox's answer"))? {
        Some((Response::Failed(reason), _)) => Err(SandboxError::Refused { reason }),
        Some(answer) => Ok(answer),
        None => Err(SandboxError::Ended),
    }
}
