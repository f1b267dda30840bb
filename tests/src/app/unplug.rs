//! Pulls the cable of the pod that this runs in: whatever is sent to it from then on is lost without a word.

use anyhow::Context;
use futures_util::TryStreamExt;
use rtnetlink::LinkUnspec;
use tokio_util::task::AbortOnDropHandle;

/// Takes the pod's own end of its cable down.
#[expect(clippy::disallowed_methods, reason = "the handle aborts the task when its owner is dropped")]
pub async fn unplug() -> anyhow::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let mut links = handle.link().get().match_name("eth0".to_owned()).execute();
    let eth0 = links.try_next().await?.context("this is no pod: it has no eth0")?;
    let down = LinkUnspec::new_with_index(eth0.header.index).down().build();
    Ok(handle.link().set(down).execute().await?)
}
