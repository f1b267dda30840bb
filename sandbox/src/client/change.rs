//! What can be changed while a sandbox runs.

use super::Sandbox;
use crate::error::SandboxError;
use crate::protocol::{PodName, Request, Response};

impl Sandbox {
    /// Ends a pod as Kubernetes does, and waits until nothing is left of it; another one takes its place.
    ///
    /// # Errors
    /// There is no such pod.
    pub async fn delete(&self, pod: impl Into<PodName>) -> Result<(), SandboxError> {
        self.ask(Request::Delete(pod.into())).await.map(drop)
    }

    /// Changes the number of a Deployment's replicas; does not wait for them.
    ///
    /// # Errors
    /// There is no such Deployment.
    pub async fn scale(&self, deployment: impl Into<PodName>, replicas: u32) -> Result<(), SandboxError> {
        self.ask(Request::Scale { deployment: deployment.into(), replicas }).await.map(drop)
    }

    /// Sends a signal to the process of one container.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&self, pod: impl Into<PodName>, container: &str, signal: i32) -> Result<(), SandboxError> {
        let request = Request::Kill { pod: pod.into(), container: container.to_owned(), signal };
        self.ask(request).await.map(drop)
    }

    /// Adds or replaces routes and policies; warnings come back.
    ///
    /// # Errors
    /// The text holds something else, or is not YAML.
    pub async fn apply(&self, text: &str) -> Result<Vec<String>, SandboxError> {
        match self.ask(Request::Apply(text.to_owned())).await? {
            Response::Warned(warnings) => Ok(warnings),
            _ => Err(SandboxError::Ended),
        }
    }

    /// Removes a route or policy.
    ///
    /// # Errors
    /// There is none of this kind and name.
    pub async fn remove(&self, kind: &str, namespace: &str, name: &str) -> Result<(), SandboxError> {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.ask(Request::Remove { kind, namespace, name }).await.map(drop)
    }

    /// Ends the control plane with this signal, and keeps it down until [`Sandbox::start_control_plane`].
    ///
    /// # Errors
    /// No pod is meshed.
    pub async fn stop_control_plane(&self, signal: i32) -> Result<(), SandboxError> {
        self.ask(Request::StopControlPlane(signal)).await.map(drop)
    }

    /// Starts the control plane again; does not wait for it.
    ///
    /// # Errors
    /// No pod is meshed.
    pub async fn start_control_plane(&self) -> Result<(), SandboxError> {
        self.ask(Request::StartControlPlane).await.map(drop)
    }
}
