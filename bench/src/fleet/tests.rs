//! A small fleet against a control plane in this process: what it is told, never how fast.

use tempfile::TempDir;
use weft_certs::TrustBundle;
use weft_control_plane::{app::App, config::Config};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_under_a_fleet_drops_no_stream_and_every_proxy_gets_the_new_picture() {
    let (registry, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let size = Size { clients: 200, services: 10, endpoints: 5 };
    let mut cluster = Cluster::new(registry.path(), size).unwrap();
    let app = control_plane(registry.path(), state.path()).await;
    let bundle = std::fs::read_to_string(state.path().join("trust-bundle.pem")).unwrap();
    let plane = Plane { address: app.address(), bundle: TrustBundle::from_pem(&bundle).unwrap() };
    let fleet = Running::start(plane, state.path(), &cluster, size, 2).await.unwrap();

    fleet.subscribe().await.unwrap();
    cluster.roll_out(Duration::from_secs(1)).await.unwrap();
    fleet.settled(&cluster).await.unwrap();

    assert_eq!(fleet.dropped(), (0, None));
    until_nobody_is_behind(&app, size.clients).await;
}

async fn control_plane(registry: &std::path::Path, state: &std::path::Path) -> App {
    let mut settings = vec![
        ("WEFT_REGISTRY_DIR", registry.display().to_string()),
        ("WEFT_STATE_DIR", state.display().to_string()),
        ("WEFT_LISTEN", "127.0.0.1:0".to_owned()),
        ("WEFT_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    settings.extend(process::FROM_ONE_ADDRESS.map(|(name, value)| (name, value.to_owned())));
    let variable = |name: &str| settings.iter().find(|(one, _)| *one == name).map(|(_, value)| value.clone());
    App::start(Config::read(variable).unwrap()).await.unwrap()
}

/// Acknowledgements travel too.
async fn until_nobody_is_behind(app: &App, clients: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let snapshot = process::get(app.admin_address(), "/snapshot").await.unwrap();
        let streams =
            serde_json::from_str::<serde_json::Value>(&snapshot).unwrap()["streams"].as_array().unwrap().len();
        assert_eq!(streams, clients);
        if behind(&snapshot).unwrap() == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{snapshot}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
