//! Handshakes in memory: good ones, resumed ones, and every way that a hostile one must end.

mod hostile;
mod wire;

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

use super::*;
use crate::{
    fixture::{Mesh, id},
    identity_of,
};
use wire::{Ends, handshake, unbuffered};

fn tls(mesh: &Mesh, service_account: &str) -> MeshTls {
    MeshTls::new(&mesh.leaf(service_account), &mesh.bundle()).unwrap()
}

#[test]
fn two_workloads_prove_to_each_other_who_they_are() {
    let mesh = Mesh::new();
    let (orders, users) = (tls(&mesh, "orders"), tls(&mesh, "users"));
    let Ends { client, server } = handshake(orders.client_for(&id("users")), users.server()).unwrap();
    assert_eq!(identity_of(server.peer_certificates().unwrap()), Ok(id("orders")));
    assert_eq!(identity_of(client.peer_certificates().unwrap()), Ok(id("users")));
    assert_eq!(client.alpn_protocol(), Some(&b"weft/1"[..]));
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.negotiated_key_exchange_group().map(|group| group.name()), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(server.server_name(), None);
}

#[test]
fn a_resumed_session_keeps_the_identity_of_both_ends() {
    let mesh = Mesh::new();
    let (orders, users) = (tls(&mesh, "orders"), tls(&mesh, "users"));
    handshake(orders.client_for(&id("users")), users.server()).unwrap();
    let Ends { client, server } = handshake(orders.client_for(&id("users")), users.server()).unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(identity_of(server.peer_certificates().unwrap()), Ok(id("orders")));
    assert_eq!(identity_of(client.peer_certificates().unwrap()), Ok(id("users")));
}

#[test]
fn a_resumed_unbuffered_session_keeps_the_identity_of_both_ends() {
    let mesh = Mesh::new();
    let (orders, users) = (tls(&mesh, "orders"), tls(&mesh, "users"));
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let (client, server) = unbuffered(orders.client_for(&id("users")), users.server()).unwrap();
        assert_eq!((client.handshake_kind(), server.handshake_kind()), (Some(kind), Some(kind)));
        assert_eq!(identity_of(server.peer_certificates().unwrap()), Ok(id("orders")));
        assert_eq!(identity_of(client.peer_certificates().unwrap()), Ok(id("users")));
    }
}

#[test]
fn a_session_is_not_resumed_under_another_expected_identity_leaf_or_bundle() {
    let mesh = Mesh::new();
    let (orders, users) = (tls(&mesh, "orders"), tls(&mesh, "users"));
    handshake(orders.client_for(&id("users")), users.server()).unwrap();
    let refused = handshake(orders.client_for(&id("payment")), users.server()).unwrap_err();
    assert_eq!(wrong_identity(&refused), Some(WrongIdentity { expected: id("payment"), actual: id("users") }));
    let renewed = tls(&mesh, "orders");
    let Ends { server, .. } = handshake(renewed.client_for(&id("users")), users.server()).unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
    let Ends { server, .. } = handshake(orders.client_for(&id("users")), tls(&mesh, "users").server()).unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn a_wrong_server_is_refused_with_both_names() {
    let mesh = Mesh::new();
    let (orders, users) = (tls(&mesh, "orders"), tls(&mesh, "users"));
    let error = handshake(orders.client_for(&id("catalog")), users.server()).unwrap_err();
    let wrong = wrong_identity(&error).unwrap();
    assert_eq!(
        wrong.to_string(),
        "expected spiffe://mesh.local/ns/shop/sa/catalog, got spiffe://mesh.local/ns/shop/sa/users"
    );
    let error = unbuffered(orders.client_for(&id("catalog")), users.server()).err().unwrap();
    assert_eq!(wrong_identity(&error), Some(wrong));
}

#[test]
fn both_roots_are_trusted_while_a_rotation_is_under_way() {
    let (old, new) = (Mesh::new(), Mesh::new());
    let both = old.bundle().with(&new.bundle()).unwrap();
    let orders = MeshTls::new(&old.leaf("orders"), &both).unwrap();
    let users = MeshTls::new(&new.leaf("users"), &both).unwrap();
    handshake(orders.client_for(&id("users")), users.server()).unwrap();
    handshake(users.client_for(&id("orders")), orders.server()).unwrap();
    let only_new = MeshTls::new(&new.leaf("users"), &new.bundle()).unwrap();
    handshake(orders.client_for(&id("users")), only_new.server()).unwrap_err();
}

#[test]
fn the_control_plane_takes_callers_with_and_without_a_leaf() {
    let mesh = Mesh::new();
    let server = control_server(&mesh.leaf("weft-control-plane"), &mesh.bundle()).unwrap();
    let expected = id("weft-control-plane");
    let bare = control_client(&mesh.bundle(), None, &expected).unwrap();
    let ends = handshake(bare, server.clone()).unwrap();
    assert!(ends.server.peer_certificates().is_none());
    assert_eq!(ends.server.alpn_protocol(), Some(&b"h2"[..]));
    let leaf = mesh.leaf("orders");
    let mutual = || control_client(&mesh.bundle(), Some(&leaf), &expected).unwrap();
    let ends = handshake(mutual(), server.clone()).unwrap();
    assert_eq!(identity_of(ends.server.peer_certificates().unwrap()), Ok(id("orders")));
    let stranger = control_client(&mesh.bundle(), Some(&Mesh::new().leaf("orders")), &expected).unwrap();
    handshake(stranger, server).unwrap_err();
    let imposter = control_server(&mesh.leaf("orders"), &mesh.bundle()).unwrap();
    assert!(wrong_identity(&handshake(mutual(), imposter).unwrap_err()).is_some());
}

#[test]
fn the_mesh_and_the_control_plane_do_not_speak_each_others_protocol() {
    let mesh = Mesh::new();
    let server = control_server(&mesh.leaf("users"), &mesh.bundle()).unwrap();
    let error = handshake(tls(&mesh, "orders").client_for(&id("users")), server).unwrap_err();
    assert_eq!(error, rustls::Error::NoApplicationProtocol);
}
